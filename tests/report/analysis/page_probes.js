/** What the page's test runs inside the page; JavaScript, since the tests have no types of a DOM. */

/** Text of each element. @param {string} selector */
export function marksOf(selector) {
  return Array.from(document.querySelectorAll(selector), (node) => node.textContent);
}

/** Text of each row, cells apart. @param {string} selector */
export function tableText(selector) {
  return Array.from(
    document.querySelectorAll(selector),
    (row) => Array.from(row.cells, (cell) => cell.textContent).join(" | "),
  );
}
