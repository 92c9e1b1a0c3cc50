/** Helpers for the document. Know nothing of speech. */

/** The element with an id. */
export const byId = (id) => document.getElementById(id);

/** A copy of the first element in a `<template>`. */
export const copyOf = (template) => byId(template).content.cloneNode(true).firstElementChild;

/** Replace the children of an element by a copy of a `<template>`; return the element. */
export function fill(element, template) {
  element.replaceChildren(byId(template).content.cloneNode(true));
  return element;
}

/** Change the icon of a button. */
export const setIcon = (button, name) =>
  button.querySelector("use").setAttribute("href", `#i-${name}`);

/** Announce a message to screen readers only. */
export function announce(text) {
  byId("said").textContent = text;
}

/**
 * Tabs by the ARIA practices: one stop for the Tab key; arrows, Home and End move between them.
 * @param {HTMLElement} list with role tablist; its tabs may change
 * @param {(tab: HTMLElement) => void} show called with the chosen tab
 */
export function tabs(list, show) {
  const all = () => [...list.querySelectorAll("[role=tab]")];
  const choose = (tab, focus) => {
    for (const other of all()) {
      other.setAttribute("aria-selected", other === tab);
      other.tabIndex = other === tab ? 0 : -1;
    }
    if (focus) tab.focus();
    show(tab);
  };
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) choose(tab, false);
  });
  list.addEventListener("keydown", (event) => {
    const tabs = all();
    const here = tabs.indexOf(event.target.closest("[role=tab]"));
    const to = {
      ArrowRight: (here + 1) % tabs.length,
      ArrowLeft: (here - 1 + tabs.length) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    }[event.key];
    if (here < 0 || to === undefined) return;
    event.preventDefault();
    choose(tabs[to], true);
  });
  return choose;
}

/** Download a blob as a file. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A file name made from a text: words and hyphens. */
export const fileName = (text) =>
  text.toLowerCase().normalize("NFKD").replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40)
    .replace(/^-+|-+$/g, "") || "speech";

/** Fit the height of a text box to its text. */
export function grow(box) {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
}
