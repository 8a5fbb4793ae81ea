// Chains: listed, filtered, shown one by one. Their text is only ever put in as text.
const MARKS = { right: "✓", wrong: "✗", unparsed: "?" };
const CHUNK = 150;
const at = {}; // places of columns in a row
const book = { rows: [], sources: [], problems: [], verdicts: [], whys: [], found: [], place: 0, listed: 0, shading: true, same: new Map() };
const $ = (id) => document.getElementById(id);

async function unpack() {
  const bytes = Uint8Array.from(atob($("packed").textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

function sourceName(row) {
  const [run, source] = book.sources[row[at.source]];
  return book.severalRuns ? `${run}: ${source}` : source;
}

const verdictOf = (row) => book.verdicts[row[at.verdict]][1];
const problemOf = (row) => book.problems[row[at.problem]];

function startBook(content) {
  content.columns.forEach((name, place) => { at[name] = place; });
  Object.assign(book, { rows: content.rows, sources: content.sources, problems: content.problems, verdicts: content.verdicts, whys: content.whys });
  book.severalRuns = new Set(book.sources.map(([run]) => run)).size > 1;
  book.lower = book.problems.map(([, prompt]) => prompt.toLowerCase());
  book.rows.forEach((row, place) => {
    const same = book.same.get(row[at.problem]);
    if (same) same.push(place);
    else book.same.set(row[at.problem], [place]);
  });
  const order = (a, b) => book.rows[a][at.step] - book.rows[b][at.step] || a - b;
  book.same.forEach((same) => same.sort(order));
  $("source").replaceChildren(make("option", { value: "" }, "all"),
    ...book.sources.map(([run, source], place) => make("option", { value: place }, book.severalRuns ? `${run}: ${source}` : source)));
  let due = 0;
  $("filters").addEventListener("input", () => { clearTimeout(due); due = setTimeout(filter, 120); });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", () => setTimeout(filter));
  $("list").addEventListener("click", (event) => {
    const item = event.target.closest(".item");
    if (item) { select(Number(item.dataset.place)); openChain(); }
  });
  $("list").addEventListener("scroll", () => {
    const list = $("list");
    if (list.scrollTop + list.clientHeight > list.scrollHeight - 600) listMore();
  });
  document.addEventListener("keydown", onKey);
  filter();
}

function bound(id, otherwise) {
  const text = $(id).value.trim();
  return text === "" || Number.isNaN(Number(text)) ? otherwise : Number(text);
}

function least(row) {
  const values = row[at.logprobs];
  return values ? values.reduce((low, value) => Math.min(low, value), 0) : 1;
}

const ORDERS = {
  late: (a, b) => b[at.step] - a[at.step],
  long: (a, b) => b[at.tokens] - a[at.tokens],
  short: (a, b) => a[at.tokens] - b[at.tokens],
  low: (a, b) => (a[at.reward] ?? -Infinity) - (b[at.reward] ?? -Infinity) || 0,
  odd: (a, b) => a.least - b.least,
};

function filter() {
  const verdicts = new Set([...document.querySelectorAll("[name=verdict]:checked")].map((box) => box.value));
  const source = $("source").value;
  const [from, to] = [bound("step-least", -Infinity), bound("step-most", Infinity)];
  const [fewest, most] = [bound("tokens-least", -Infinity), bound("tokens-most", Infinity)];
  const problem = $("problem").value.toLowerCase();
  const words = $("words").value.toLowerCase();
  const fits = book.lower.map((text) => text.includes(problem));
  book.found = [];
  book.rows.forEach((row, place) => {
    if (source !== "" && row[at.source] !== Number(source)) return;
    if (row[at.step] < from || row[at.step] > to || row[at.tokens] < fewest || row[at.tokens] > most) return;
    if (!verdicts.has(verdictOf(row)) || !fits[row[at.problem]]) return;
    if (words && !row[at.chain].toLowerCase().includes(words)) return;
    book.found.push(place);
  });
  const order = ORDERS[$("order").value];
  if (order) {
    if ($("order").value === "odd") book.rows.forEach((row) => { row.least ??= least(row); });
    book.found.sort((a, b) => order(book.rows[a], book.rows[b]) || a - b);
  }
  const tally = { right: 0, wrong: 0, unparsed: 0 };
  book.found.forEach((place) => { tally[verdictOf(book.rows[place])] += 1; });
  const number = (value) => value.toLocaleString("en");
  $("count").textContent = `${number(book.found.length)} of ${number(book.rows.length)} chains: ` +
    `${number(tally.right)} right, ${number(tally.wrong)} wrong, ${number(tally.unparsed)} unparsed`;
  $("list").replaceChildren();
  $("list").scrollTop = 0;
  book.listed = 0;
  listMore();
  if (book.found.length) return select(0, false);
  book.shown = undefined;
  mark(-1);
  $("chain").replaceChildren(make("p", { class: "note" }, "No chain is like this."));
}

function listMore() {
  const end = Math.min(book.found.length, book.listed + CHUNK);
  const items = [];
  for (; book.listed < end; book.listed += 1) items.push(itemOf(book.listed));
  $("list").append(...items);
}

function itemOf(place) {
  const row = book.rows[book.found[place]];
  const verdict = verdictOf(row);
  const reward = row[at.reward] === null ? "no reward" : `reward ${short(row[at.reward])}`;
  return make("div", { class: "item", role: "option", id: `item-${place}`, "data-place": place, "aria-selected": "false" },
    make("span", { class: `mark ${verdict}`, "aria-label": verdict }, MARKS[verdict]),
    make("div", {},
      make("div", { class: "what" }, problemOf(row)[1].slice(0, 200)),
      make("div", { class: "meta" }, `step ${row[at.step]} · ${row[at.tokens]} tokens · ${reward} · ${sourceName(row)}`)));
}

// Which item of the list is shown: none below 0, and `j` and `k` go on from where they were.
function mark(place) {
  const before = $("list").querySelector("[aria-selected=true]");
  if (before) before.setAttribute("aria-selected", "false");
  $("list").removeAttribute("aria-activedescendant");
  if (place < 0) return;
  while (book.listed <= place) listMore();
  book.place = place;
  const item = $(`item-${place}`);
  item.setAttribute("aria-selected", "true");
  $("list").setAttribute("aria-activedescendant", item.id);
}

function select(place, follow = true) {
  if (place < 0 || place >= book.found.length) return;
  mark(place);
  if (follow) $(`item-${place}`).scrollIntoView({ block: "nearest" });
  show(book.found[place]);
}

// A chain that may not be among those that are listed.
function turnTo(chain) {
  const place = book.found.indexOf(chain);
  if (place >= 0) return select(place);
  mark(place);
  show(chain);
}

// Spans of a chain's tokens, the less likely the warmer; `from` is where what was sampled begins.
function chainText(row, shading) {
  const pre = make("pre", { class: "text" });
  const [prefix, chain] = [row[at.prefix], row[at.chain]];
  if (prefix) pre.append(make("span", { class: "given", title: "given, not sampled" }, prefix));
  const [lengths, logprobs] = [row[at.lengths], row[at.logprobs]];
  let from = prefix.length;
  if (!shading || !lengths) {
    pre.append(chain.slice(from));
  } else {
    lengths.forEach((length, place) => {
      const nats = logprobs[place] / 100;
      const heat = Math.min(1, -nats / 3) * 0.85;
      const text = length ? chain.slice(from, from + length) : "∎";
      from += length;
      if (from > chain.length + length) return;
      pre.append(make("span", { class: length ? "token" : "token end", style: `background:rgba(var(--heat),${heat.toFixed(3)})`,
        title: `probability ${Math.exp(nats).toPrecision(2)}, log-prob ${nats.toFixed(2)}${length ? "" : ": end, or no text of its own"}` }, text));
    });
    pre.append(chain.slice(from));
  }
  if (chain.length >= 20000) pre.append(make("span", { class: "end" }, " … cut in this page"));
  return pre;
}

function facts(pairs) {
  return make("dl", {}, ...pairs.filter(([, value]) => value !== null && value !== "").flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function badge(row) {
  const verdict = verdictOf(row);
  return make("span", { class: `badge ${verdict}` }, `${MARKS[verdict]} ${verdict}`);
}

function show(place) {
  const row = book.rows[place];
  book.shown = place;
  const [id, prompt, answer] = problemOf(row);
  const [outcome] = book.verdicts[row[at.verdict]];
  const same = book.same.get(row[at.problem]);
  const rewards = Object.entries(row[at.rewards] || {}).map(([name, value]) => `${name} ${value === null ? "not a number" : typeof value === "number" ? short(value) : value}`).join(", ");
  const mean = row[at.logprobs] && row[at.logprobs].length ? row[at.logprobs].reduce((sum, value) => sum + value, 0) / row[at.logprobs].length / 100 : null;
  const parts = [
    make("div", { class: "top" },
      make("button", { type: "button", class: "back", onclick: close }, "← list"),
      badge(row), make("span", { class: "where" }, `${sourceName(row)}, step ${row[at.step]}`)),
    make("h3", {}, "Problem"), make("pre", {}, prompt),
    make("div", { class: "head" }, make("h3", {}, "Chain"), legendOf(row)), chainText(row, book.shading),
    facts([
      ["answer found", row[at.extracted] === null ? "none" : row[at.extracted]], ["right answer", answer],
      ["verdict", `${outcome || "none"}${book.whys[row[at.why]] ? `: ${book.whys[row[at.why]]}` : ""}`],
      ["reward", row[at.reward] === null ? "none" : short(row[at.reward])], ["rewards", rewards],
      ["tokens", `${row[at.tokens]}${row[at.finish] === "length" ? ", cut at the longest" : ""}`],
      ["mean log-prob", mean === null ? null : `${mean.toFixed(3)} nats`], ["problem", id === prompt ? null : id],
    ]),
  ];
  if (same.length > 1) parts.push(...beforeAndAfter(same, place));
  $("chain").replaceChildren(...parts);
  $("chain").scrollTop = 0;
}

function legendOf(row) {
  if (!row[at.logprobs]) return make("span", { class: "legend" }, "no log-probs in this file");
  return make("span", { class: "legend" }, "likely", make("span", { class: "ramp" }), "unlikely token ",
    make("button", { type: "button", id: "shading", "aria-pressed": String(book.shading), onclick: toggleShading }, book.shading ? "hide" : "shade"));
}

// How a chain came about: greedy and sampled chains of one run are not held against each other, nor chains of two runs.
function modeOf(row) {
  const source = book.sources[row[at.source]][1];
  return ["greedy", "sampled"].find((mode) => source.endsWith(`, ${mode}`)) || source;
}

// The earliest and the latest chain of a problem in the run of one that is shown, greedy ones if there are; or null.
function pairOf(same, place) {
  const run = book.sources[book.rows[place][at.source]][0];
  const own = same.filter((other) => book.sources[book.rows[other][at.source]][0] === run);
  const modes = new Set(["greedy", "sampled", ...own.map((other) => modeOf(book.rows[other]))]);
  for (const mode of modes) {
    const alike = own.filter((other) => modeOf(book.rows[other]) === mode);
    if (alike.length > 1 && book.rows[alike[0]][at.step] < book.rows[alike.at(-1)][at.step]) return [alike[0], alike.at(-1)];
  }
  return null;
}

function beforeAndAfter(same, place) {
  const pair = pairOf(same, place);
  const column = (title, other) => make("div", {},
    make("p", { class: "note" }, `${title}: step ${book.rows[other][at.step]}, ${sourceName(book.rows[other])} `, badge(book.rows[other])),
    chainText(book.rows[other], book.shading));
  const names = same.slice(0, 60).map((other) => make("button", { type: "button", "aria-current": String(other === place), onclick: () => turnTo(other) },
    `${MARKS[verdictOf(book.rows[other])]} step ${book.rows[other][at.step]}, ${sourceName(book.rows[other])}`));
  return [make("h3", {}, `The same problem${pair ? ", before and after" : ""}: ${same.length.toLocaleString("en")} chains`),
    pair && make("div", { class: "versus" }, column("before", pair[0]), column("after", pair[1])),
    make("div", { class: "others" }, ...names)].filter(Boolean);
}

function toggleShading() {
  book.shading = !book.shading;
  if (book.shown !== undefined) show(book.shown);
}

// On a phone the chain takes the place of the list.
function openChain() {
  $("chain").parentElement.classList.add("open");
  if ($("list").offsetParent) return;
  $("chain").focus({ preventScroll: true });
  $("chain").scrollIntoView();
}

function close() {
  $("chain").parentElement.classList.remove("open");
  $("list").focus();
}

function along(by) {
  const same = book.same.get(book.rows[book.shown][at.problem]);
  const next = same[same.indexOf(book.shown) + by];
  if (next !== undefined) turnTo(next);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
  if (event.key === "Escape") {
    if (event.target.closest(".browser, #filters")) close();
    return;
  }
  if (typing) return;
  const inList = event.target.id === "list";
  const moves = { j: 1, k: -1, ...(inList ? { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 } : {}) };
  if (event.key in moves && book.found.length) {
    select(Math.max(0, Math.min(book.found.length - 1, book.place + moves[event.key])));
    if (!inList) $("chains").scrollIntoView({ block: "nearest" });
  } else if (inList && event.key === "Enter") openChain();
  else if (event.key === "n" && book.shown !== undefined) along(1);
  else if (event.key === "p" && book.shown !== undefined) along(-1);
  else if (event.key === "s") toggleShading();
  else if (event.key === "/") $("words").focus();
  else return;
  event.preventDefault();
}
