// Tables, and the numbers of charts as tables: for those who do not see charts, and for keyboards.

// A row that is shorter than the titles has its last cell over the rest.
function table(titles, rows, numbers, label = "table") {
  const kind = (place) => (numbers.includes(place) ? "number" : null);
  const cellOf = (row) => (cell, place) => (place === row.length - 1 && row.length < titles.length
    ? make("td", { colspan: titles.length - place }, cell) : make("td", { class: kind(place) }, cell));
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, make("table", {},
    make("thead", {}, make("tr", {}, ...titles.map((title, place) => make("th", { class: kind(place), scope: "col" }, title)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map(cellOf(row)))))));
}

// What a chart draws on an axis, made when it is opened; `chosen` says which chart and axis that is.
function numbersOf(chosen) {
  const element = make("details", { class: "numbers" }, make("summary", {}, "numbers"));
  const fill = () => {
    const [chart, axis] = chosen();
    const value = chart.share ? share : short;
    const rows = chart.series.flatMap((one) => one.y.map((y, place) => {
      const x = one.x[axis.key][place];
      return [one.name, one.labels ? one.labels[place] : "", typeof x === "string" ? x : short(x), value(y),
        one.low ? `${value(one.low[place])} – ${value(one.high[place])}` : "", one.n && one.n[place] ? String(one.n[place]) : ""];
    }));
    const titles = ["curve", "budget", axis.label, chart.side || (chart.share ? "accuracy" : "value"), "interval", "n"];
    const kept = titles.map((_, place) => place).filter((place) => rows.some((row) => row[place] !== ""));
    const numbers = kept.flatMap((place, column) => (place > 1 ? [column] : []));
    element.replaceChildren(element.firstChild, table(kept.map((place) => titles[place]), rows.map((row) => kept.map((place) => row[place])), numbers,
      `numbers of ${chart.title}`));
  };
  element.again = () => { if (element.open) fill(); };
  element.addEventListener("toggle", element.again);
  return element;
}
