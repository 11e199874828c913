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
    // What scrolls in its own frame can be scrolled by keyboard.
    for (const frame of document.querySelectorAll('[class*="st-key-wide-"]:not([tabindex]), .st-key-log:not([tabindex])')) {
      frame.setAttribute("tabindex", "0");
      frame.setAttribute("role", "group");
      frame.setAttribute("aria-label", frame.classList.contains("st-key-log") ? "Log" : "Wide chart");
    }
    for (const code of document.querySelectorAll('main pre:not([tabindex])')) code.setAttribute("tabindex", "0");
    for (const logo of document.querySelectorAll('img.stLogo[alt="Logo"]')) logo.alt = "VisE Studio";
  };
  window.viseFrame = new MutationObserver(repair);
  window.viseFrame.observe(document.body, { childList: true, subtree: true });
  repair();
})();
