// What Streamlit 1.67 marks up in a way that screen readers cannot follow. It draws anew, so this watches.
(() => {
  if (window.viseFrame) return;
  const repair = () => {
    // A menu in sections: its list holds groups, and the items are not children of the list.
    for (const list of document.querySelectorAll('[data-testid="stSidebarNavItems"]:not([role])'))
      list.setAttribute("role", "none");
    for (const item of document.querySelectorAll('[data-testid="stSidebarNavItems"] li:not([role])'))
      item.setAttribute("role", "none");
    for (const logo of document.querySelectorAll('img.stLogo[alt="Logo"]')) logo.alt = "VisE Studio";
  };
  window.viseFrame = new MutationObserver(repair);
  window.viseFrame.observe(document.body, { childList: true, subtree: true });
  repair();
})();
