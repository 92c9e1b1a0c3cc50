// Before the first paint: the theme that was chosen last. A plain script, since modules run too late.
try {
  const theme = localStorage.getItem("causerie.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is switched off: the system's theme it is.
}
