/** A table with headings that sort it, a bounded number of rows at a time. */
import { emptyRow, node } from "../page/dom.js";
import { counted } from "./data.js";

const STEP = 200;

/**
 * `columns`: title, `key(row)` to sort by, `cell(row)` (text or a node), className;
 * `noun`: of the rows, for the button that shows more; `empty`: said where there are none.
 */
export class DataTable {
  #body = document.createElement("tbody");
  #headings;
  #columns;
  #noun;
  #empty;
  #more = node("button", "more");
  #rows = [];
  #shown = STEP;
  #sorted = null;
  #isDescending = false;
  /** The element of a row that is in the document. */
  #elements = new Map();

  constructor(table, { columns, noun, empty }) {
    this.#columns = columns;
    this.#noun = noun;
    this.#empty = empty;
    this.#headings = columns.map((column) => this.#heading(column));
    table.append(node("thead", "", node("tr", "", ...this.#headings)), this.#body);
    this.#more.type = "button";
    this.#more.addEventListener("click", () => {
      this.#shown += STEP * 5;
      this.#draw();
    });
    table.after(this.#more);
  }

  /** These rows, in this order until a heading is pressed. */
  show(rows) {
    this.#rows = rows;
    this.#shown = STEP;
    this.#draw();
  }

  /** The row's element, drawn if it was not; null when it is none of the table's. */
  reveal(row) {
    const place = this.#ordered().indexOf(row);
    if (place < 0) return null;
    if (place >= this.#shown) {
      this.#shown = place + STEP;
      this.#draw();
    }
    return this.#elements.get(row);
  }

  #heading(column) {
    const heading = node("th", column.className ?? "");
    heading.scope = "col";
    const button = node("button", "sort", column.title);
    button.type = "button";
    button.addEventListener("click", () => {
      // Numbers are of interest from the largest on, text from its beginning.
      const isNumber = column.className?.includes("number") ?? false;
      this.#isDescending = this.#sorted === column ? !this.#isDescending : isNumber;
      this.#sorted = column;
      for (const other of this.#headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", this.#isDescending ? "descending" : "ascending");
      this.#draw();
    });
    heading.append(button);
    return heading;
  }

  #ordered() {
    if (this.#sorted === null) return this.#rows;
    const { key } = this.#sorted;
    const sign = this.#isDescending ? -1 : 1;
    const compare = (a, b) =>
      typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
    return this.#rows.toSorted((a, b) => sign * compare(key(a), key(b)));
  }

  #draw() {
    const rows = this.#ordered().slice(0, this.#shown);
    this.#elements = new Map(rows.map((row) => [row, this.#element(row)]));
    const elements = [...this.#elements.values()];
    if (elements.length === 0) elements.push(emptyRow(this.#columns.length, this.#empty));
    this.#body.replaceChildren(...elements);
    const rest = this.#rows.length - rows.length;
    this.#more.hidden = rest <= 0;
    this.#more.textContent = `Show more: ${counted(rest, this.#noun)} below`;
  }

  #element(row) {
    return node(
      "tr",
      "",
      ...this.#columns.map(({ title, cell, className }) => {
        const content = cell(row);
        const made = node("td", className ?? "", ...Array.isArray(content) ? content : [content]);
        if (content === "–") made.classList.add("blank");
        made.dataset.title = title; // what stands before it where the headings have no place
        return made;
      }),
    );
  }
}
