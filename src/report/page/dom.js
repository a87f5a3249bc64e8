/** Parts of the document. Text from the network becomes text, never markup. */

export const at = (id) => document.getElementById(id);

/** `node("td", "number", "12")`; a part is text or another node. */
export function node(name, className, ...parts) {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  made.append(...parts);
  return made;
}

export function emptyRow(columns, text) {
  const cell = node("td", "empty", text);
  cell.colSpan = columns;
  return node("tr", "", cell);
}

/** The state in the head of the page: a class of the style sheet, and words. */
export function setState(className, text) {
  const state = at("state");
  state.className = `state ${className}`;
  if (state.textContent !== text) state.textContent = text;
  document.title = `btblocker: ${text.toLowerCase()}`;
}

/** A problem above everything else; nothing takes it away. */
export function notify(text) {
  at("notice").textContent = text;
  at("notice").hidden = text === "";
}
