/** Few helpers around the document. Know nothing of speech. */

/** The element of an id. */
export const byId = (id) => document.getElementById(id);

/** A copy of what a `<template>` holds. */
export const copyOf = (template) => byId(template).content.cloneNode(true).firstElementChild;

/** A copy of all that a `<template>` holds, put into a place. */
export function fill(place, template) {
  place.replaceChildren(byId(template).content.cloneNode(true));
  return place;
}

/** Show another symbol in a button. */
export const setIcon = (button, name) =>
  button.querySelector("use").setAttribute("href", `#i-${name}`);

/** Tell a screen reader what happened where nothing on the page says it. */
export function announce(text) {
  byId("said").textContent = text;
}

/**
 * Tabs as the ARIA practices describe them: one stop for Tab, arrows, Home and End between them.
 * @param {HTMLElement} list with role tablist; its tabs may come and go
 * @param {(tab: HTMLElement) => void} show called with the tab that is chosen
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

/** Offer bytes as a file to save. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** What is left of a text as a file's name: words and hyphens. */
export const fileName = (text) =>
  text.toLowerCase().normalize("NFKD").replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40)
    .replace(/^-+|-+$/g, "") || "speech";

/** Let a text box be as high as its text. */
export function grow(box) {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
}
