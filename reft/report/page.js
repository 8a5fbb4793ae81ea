// The page, put together.
const STAGES = { warmup: "warm-up", reinforced: "reinforced", self_trained: "trained" };

function tile(label, value, more, main = false) {
  return make("div", { class: main ? "tile main" : "tile" }, make("div", { class: "label" }, label),
    make("div", { class: "value" }, value), make("div", { class: "more" }, more));
}

function runCard(run) {
  const steps = run.steps ? `${run.best_step === null ? "" : `best step ${run.best_step} of `}${run.steps} steps` : null;
  const unfinished = run.unfinished ? make("p", { class: "note warn" }, `not finished: ${run.unfinished}`) : null;
  const told = [run.task, run.algorithm, run.seed === null ? null : `seed ${run.seed}`, steps, run.path].filter(Boolean).join(" · ");
  const tiles = Object.entries(run.stages).flatMap(([stage, content]) => ["greedy", "sampled"].filter((mode) => content[mode]).map((mode) => {
    const one = content[mode];
    const tokens = mode === "sampled" && content.tokens_per_chain ? `, ${short(content.tokens_per_chain)} tokens a chain` : "";
    return tile(`${STAGES[stage]}, ${mode}`, share(one.value), `[${share(one.low)}, ${share(one.high)}], n = ${one.n}${tokens}`, stage !== "warmup");
  }));
  if (run.flops) tiles.push(tile("training", short(run.flops), "FLOPs, evaluations apart"));
  if (run.tokens) tiles.push(tile("sampled in training", short(run.tokens), "tokens"));
  if (run.seconds) tiles.push(tile("wall time", `${short(run.seconds / 60)} min`, "all phases"));
  return make("div", { class: "card run" }, make("h2", {}, run.name), make("p", { class: "facts" }, told), unfinished,
    make("div", { class: "tiles" }, ...tiles));
}

const UNSPENT = "none: it ends, greater budgets are not spent";
const NO_PLATEAU = "none: still gains, turns, or is flat for less than half a doubling";

function showPlateaus(chart, axis) {
  const found = chart.series.filter((one) => one.y.length > 2).map((one) => {
    const plateau = one.plateau[axis.key];
    if (!plateau) return [one.name, one.unspent[axis.key] ? UNSPENT : NO_PLATEAU];
    const told = plateau.certain ? "yes" : "not told apart from a slow rise";
    return [one.name, share(plateau.level), short(plateau.start), `${plateau.gain.toFixed(3)} ± ${plateau.error.toFixed(3)}`, told];
  });
  const element = $("plateaus");
  if (!found.length) { element.replaceChildren(); return; }
  element.replaceChildren(make("div", { class: "card below" }, make("h3", {}, "Plateaus"),
    make("p", { class: "note" }, "The longest tail of a curve that gains less than .03 per doubling. Certain where the gain's interval is below that, too."),
    table(["curve", "level", `from ${axis.label}`, "gain per doubling", "certain"], found, [1, 2, 3], "plateaus")));
}

function showBreakEven(rows) {
  if (!rows.length) return;
  const told = (row) => {
    const range = row.low === null ? "" : ` (${short(row.low)} – ${row.high === null ? "never" : short(row.high)})`;
    if (row.never) return `never: its queries are no cheaper${range}`;
    if (row.queries !== null) return `${short(row.queries)}${range}`;
    return row.query[0] === null && row.query[1] === null ? "–" : row.query[0] === null ? "only training reaches it" : "only the earlier reaches it";
  };
  const answer = (row) => make("div", { class: row.queries === null ? "answer" : "answer whole" }, told(row));
  const several = new Set(rows.map((row) => row.run)).size > 1;
  $("break-even").append(make("div", { class: "card below" }, make("h3", {}, "Break-even: training longer against sampling more"),
    make("p", { class: "note" }, "At equal accuracy, the later checkpoint costs more to train and the earlier one more to ask. " +
      "From so many queries on, training longer has been cheaper in all; between budgets that were measured, costs are interpolated. " +
      "In brackets, with all accuracies at the ends of their intervals that speak for training, and against it."),
    table(["accuracy", "break-even queries", "earlier", "FLOPs a query", "later", "FLOPs a query", "more training, FLOPs", "problems"],
      rows.map((row) => [share(row.accuracy), answer(row), row.earlier, short(row.query[0]), row.later, short(row.query[1]),
        short(row.training[1] - row.training[0]), several ? `${row.run}, ${row.split}` : row.split]), [0, 3, 5, 6], "break-even")));
}

function showUse(found) {
  $("useful").hidden = !found;
  if (!found) return;
  for (const chart of found.charts) {
    const element = make("figure", { class: "card", id: chart.id });
    $("useful-charts").append(element);
    figure(element, [chart], chart.title, chart.caption);
  }
  $("useful-tables").append(...found.tables.map((one) => make("div", { class: "card below" }, make("h3", {}, one.title),
    make("p", { class: "note" }, one.note), table(one.columns, one.rows, one.numbers, one.title))));
}

function learningCard(chart) {
  const plot = make("div", { class: "plot", role: "img", "aria-label": chart.title });
  $("learning-charts").append(make("figure", { class: "card" }, make("h3", {}, chart.title), make("code", {}, chart.metric), plot,
    numbersOf(() => [chart, chart.axes[0]])));
  drawLater(plot, () => draw(plot, chart, chart.axes[0], true));
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  drawn.forEach((again) => again());
}

function start() {
  const data = JSON.parse($("data").textContent);
  const preference = matchMedia("(prefers-color-scheme: dark)");
  setTheme(preference.matches ? "dark" : "light");
  preference.addEventListener("change", () => setTheme(preference.matches ? "dark" : "light"));
  $("theme").addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
  $("runs").append(...data.runs.map(runCard));
  $("notes").append(...data.notes.map((note) => make("p", { class: "note warn" }, note)));
  if (data.training) figure($("training"), [data.training], data.training.title,
    "While training goes on: one chain a problem, the likeliest (greedy) or drawn (sampled). Bars are 95% intervals.");
  else $("training").remove();
  const tests = data.test_time.filter((chart) => chart.axes.length);
  if (tests.length) figure($("test-time"), tests, "Accuracy against test-time compute",
    "What checkpoints make of more compute a query. Dashes: how long they think unforced; gains beyond are scaling. Bands: plateaus.",
    showPlateaus);
  else $("test-time").remove();
  if (!data.training && !tests.length) $("compute").hidden = true;
  $("unstudied").append(...data.unstudied.map((path) => make("p", { class: "note" },
    "A point each so far: ", make("code", {}, `reft report ${path} --study`), " samples what more compute a query makes of it.")));
  showBreakEven(data.break_even);
  showUse(data.useful);
  $("learning").hidden = !data.learning.length;
  data.learning.forEach(learningCard);
  const { shown, total } = data.chains;
  if (total) {
    $("chains").hidden = false;
    $("chains-told").textContent = shown < total
      ? `${shown.toLocaleString("en")} of the ${total.toLocaleString("en")} chains that the runs have written: what a page can hold, drawn by problem.`
      : "All chains that the runs have written: some of each step, and those of the evaluations.";
    $("count").textContent = "unpacking …";
    unpack().then(startBook).catch((error) => { $("count").textContent = `The chains cannot be shown: ${error.message}`; throw error; })
      .finally(() => { document.documentElement.dataset.ready = "yes"; });
  } else document.documentElement.dataset.ready = "yes";
  document.querySelectorAll("nav a, .skip").forEach((link) => { link.hidden = $(link.hash.slice(1)).hidden; });
  let theme = null;
  addEventListener("beforeprint", () => { theme ??= document.documentElement.dataset.theme; setTheme("light"); drawAll(); });
  addEventListener("afterprint", () => { if (theme) setTheme(theme); theme = null; });
}

start();
