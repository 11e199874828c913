// What Streamlit 1.67 marks up in a way that people and screen readers cannot follow. It draws anew, so this watches.
(() => {
  if (window.viseFrame) return;
  const repair = () => {
    // A menu in sections: its list holds groups, and the items are not children of the list.
    for (const list of document.querySelectorAll('[data-testid="stSidebarNavItems"]:not([role])'))
      list.setAttribute("role", "none");
    for (const item of document.querySelectorAll('[data-testid="stSidebarNavItems"] li:not([role])'))
      item.setAttribute("role", "none");
    // Icons stand beside words that say the same; read aloud they are "radio_button_unchecked icon".
    for (const icon of document.querySelectorAll('[role="img"][aria-label$=" icon"]:not([aria-hidden])'))
      icon.setAttribute("aria-hidden", "true");
    // Links within the app that stand in a text open in a tab of their own otherwise.
    for (const link of document.querySelectorAll('main a[target="_blank"]'))
      if (link.origin === location.origin) link.removeAttribute("target");
    for (const logo of document.querySelectorAll('img.stLogo[alt="Logo"]')) logo.alt = "VisE Studio";
  };
  window.viseFrame = new MutationObserver(repair);
  window.viseFrame.observe(document.body, { childList: true, subtree: true });
  repair();
})();
