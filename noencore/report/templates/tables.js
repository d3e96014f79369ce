// Tables: made from the JSON in the page, sorted and filtered here, some rows at a time so that long ones stay quick.
(() => {
  "use strict";
  const STEP = 200;
  const collator = new Intl.Collator("en", { numeric: true });

  const shown = (cell) => {
    if (cell === null) return "";
    if (typeof cell !== "number" || Number.isInteger(cell)) return String(cell);
    const size = Math.abs(cell);
    if (size >= 9999.5) return String(Math.round(cell));
    return size < 1e-3 ? cell.toExponential(2) : cell.toPrecision(4);
  };

  /** Order of two cells; empty ones come last in both directions. */
  const order = (a, b, direction) => {
    if (a === null || b === null) return (a === null) - (b === null);
    const difference = typeof a === "number" && typeof b === "number" ? a - b : collator.compare(a, b);
    return direction * difference;
  };

  class Table {
    constructor(element, { columns, rows, numeric, long }) {
      Object.assign(this, { element, columns, rows, numeric, long });
      const find = (part) => document.querySelector(`[data-${part}="${element.dataset.table}"]`);
      [this.filter, this.count, this.more] = ["filter", "count", "more"].map(find);
      this.sorted = { column: -1, direction: 1 };
      this.heads = columns.map((name, column) => this.head(name, column));
      const row = document.createElement("tr");
      row.append(...this.heads);
      element.tHead.append(row);
      this.filter.addEventListener("input", () => this.show());
      this.more.addEventListener("click", () => this.showMore());
      this.show();
    }

    head(name, column) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.classList.toggle("numeric", this.numeric.includes(column));
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => this.sort(column));
      cell.append(button);
      return cell;
    }

    sort(column) {
      const again = this.sorted.column === column && this.sorted.direction === 1;
      this.sorted = { column, direction: again ? -1 : 1 };
      this.heads.forEach((head, at) => {
        head.toggleAttribute("aria-sort", at === column);
        if (at === column) head.setAttribute("aria-sort", again ? "descending" : "ascending");
      });
      this.show();
    }

    /** Rows that hold all words of the filter, in the chosen order. */
    chosen() {
      this.texts ??= this.rows.map((row) => row.map(shown).join("\n").toLowerCase());
      const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      const kept = this.rows.filter((_, at) => words.every((word) => this.texts[at].includes(word)));
      const { column, direction } = this.sorted;
      return column < 0 ? kept : kept.sort((a, b) => order(a[column], b[column], direction));
    }

    show() {
      this.found = this.chosen();
      this.element.tBodies[0].replaceChildren();
      this.showMore();
    }

    showMore() {
      const body = this.element.tBodies[0];
      const next = this.found.slice(body.rows.length, body.rows.length + STEP);
      body.append(...next.map((row) => this.row(row)));
      const rest = this.found.length - body.rows.length;
      this.more.hidden = rest === 0;
      this.more.textContent = `Show ${Math.min(rest, STEP)} more rows (${rest} are not shown)`;
      this.count.textContent = `${this.found.length} of ${this.rows.length} rows`;
    }

    row(cells) {
      const row = document.createElement("tr");
      row.append(
        ...cells.map((cell, column) => {
          const td = document.createElement("td");
          td.textContent = shown(cell);
          if (this.numeric.includes(column)) td.className = "numeric";
          if (this.long.includes(column)) td.className = "text";
          return td;
        }),
      );
      return row;
    }
  }

  for (const element of document.querySelectorAll("table[data-table]")) {
    const source = document.querySelector(`script[data-rows="${element.dataset.table}"]`);
    new Table(element, JSON.parse(source.textContent));
  }
})();
