// Applies the saved theme before the first paint. A classic script, because modules run too late.
try {
  const theme = localStorage.getItem("causerie.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is disabled: use the system's theme.
}
