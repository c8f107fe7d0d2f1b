/* One row: the prompt, both answers side by side with what tools found, and every round. */
const chip = (words, kind) => el("span", { class: "chip " + (kind || "") }, words);
const STROKES = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"];

function pictures(images, known, caption) {
  if (!images || !images.length) return null;
  return el("div", { class: "images" }, images.map((one) =>
    one.key && known[one.key]
      ? el("figure", {}, el("img", { src: known[one.key], alt: caption, loading: "lazy" }), el("figcaption", {}, caption))
      : el("p", { class: "faint" }, one.note || "an image that is not in this file")));
}
function drawnLines(tracks, wide, high, flip) {
  const every = Object.values(tracks).flat();
  const ends = [0, 1].map((axis) => every.map((point) => point[axis])).map((all) => [Math.min(...all), Math.max(...all)]);
  const scale = (value, [low, high_], size) => 8 + ((value - low) / (high_ - low || 1)) * (size - 16);
  const at = (point) => [scale(point[0], ends[0], wide), flip ? high - scale(point[1], ends[1], high) : scale(point[1], ends[1], high)];
  const lines = Object.values(tracks).filter((some) => some.length).map((some, place) => {
    const colour = STROKES[place % STROKES.length];
    const path = svg("polyline", { points: some.map((point) => at(point).join(",")).join(" "), fill: "none", stroke: colour, "stroke-width": 2 });
    const [x, y] = at(some[some.length - 1]);
    return [path, svg("circle", { cx: x, cy: y, r: 4, fill: colour })];
  });
  return svg("svg", { viewBox: `0 0 ${wide} ${high}`, role: "img" }, ...lines.flat());
}
function legend(names) {
  return el("p", { class: "faint" }, names.map((name, place) => {
    const mark = el("span", {}, "● ");
    mark.style.color = STROKES[place % STROKES.length];
    return [mark, name + " "];
  }).flat());
}
function film(one, known) {
  if (!one) return null;
  const frames = one.frames.filter((frame) => frame.key && known[frame.key]);
  const moved = Object.fromEntries(Object.entries(one.tracks).filter(([, some]) => some.length && some.every((point) => point.length === 2)));
  return el("div", { class: "film" },
    frames.length ? el("div", { class: "strip", tabindex: 0, "aria-label": "frames over time" },
      frames.map((frame, place) => el("img", { src: known[frame.key], alt: `frame ${place + 1} of ${frames.length}` }))) : null,
    Object.keys(moved).length ? [drawnLines(moved, 300, 200, true), legend(Object.keys(moved)), el("p", { class: "faint" }, "Paths from above; a dot where each ends.")] : null,
    Object.keys(one.costs).length ? [drawnLines(one.costs, 300, 120, true), legend(Object.keys(one.costs)), el("p", { class: "faint" }, "Costs over time, by stage; in brackets what the stage came to.")] : null);
}
function finding(one, known) {
  const kind = one.error ? "broke" : one.verdict === null ? "" : one.verdict > 0.5 ? "for" : one.verdict < 0.5 ? "against" : "";
  const verdict = one.verdict === null ? "takes no side" : `verdict ${number(one.verdict)}`;
  return el("div", { class: "finding " + kind }, el("b", {}, one.tool), ` ${one.error ? "failed" : verdict}, ${one.seconds < 0.001 ? "under 1 ms" : number(one.seconds, 3) + " s"} `,
    one.arguments ? el("code", {}, one.arguments) : null, text(one.error || one.text), pictures(one.images, known, `what ${one.tool} found`));
}
function answer(entry, role, known) {
  const one = entry[role], round = entry.rounds.filter((played) => played.chosen !== null || played.rejected !== null).pop();
  if (!one) return null;
  const judged = round && one.index !== null ? round.candidates.find((candidate) => candidate.index === one.index) : null;
  const about = round && one.index !== null ? round.found.filter((found) => found.candidate === one.index) : [];
  const where = one.index === null ? "the reference" : `candidate ${one.index + 1}`;
  return el("div", { class: "answer " + role }, el("h4", {}, `${role === "chosen" ? "Chosen" : "Rejected"}: ${where}`),
    judged && judged.score !== null ? chip(`score ${number(judged.score)}`) : null, text(one.text), film(one.film, known),
    about.map((found) => finding(found, known)));
}
function changed(rewrites) {
  return Object.entries(rewrites || {}).map(([prompt, changes]) => el("div", {}, el("h4", {}, `Rewritten: ${prompt}`),
    el("p", { class: "text" }, changes.map(([kind, words]) => (kind === "same" ? words : el(kind === "in" ? "ins" : "del", {}, words))))));
}
function candidate(one, round, known) {
  const role = one.index === round.chosen ? "chosen" : one.index === round.rejected ? "rejected" : "";
  const spread = one.spread ? ` ± ${number(one.spread / 2)}` : "";
  return el("div", { class: "candidate " + role }, el("h4", {}, `Candidate ${one.index + 1}${role ? ", " + role : ""}`),
    el("p", { class: "chips" }, one.score === null ? chip("not judged") : chip(`score ${number(one.score)}${spread}`), one.ended ? chip(one.ended, "failed") : null),
    text(one.text), film(one.film, known), one.thoughts ? el("details", {}, el("summary", {}, "Thoughts"), text(one.thoughts)) : null,
    one.analysis ? [el("h4", {}, "Judge"), text(one.analysis)] : null,
    round.found.filter((found) => found.candidate === one.index).map((found) => finding(found, known)));
}
function roundOf(entry, place, known) {
  const one = entry.rounds[place];
  const task = one.found.filter((found) => found.candidate === null);
  return el("details", { class: "round" },
    el("summary", {}, `Round ${one.number}: ${one.reward === null ? "no pair" : "R " + number(one.reward)}`),
    one.analysis ? [el("h4", {}, "Analysis"), text(one.analysis)] : null,
    one.selected.length ? el("p", {}, "Tools chosen: ", one.selected.join("; ")) : null,
    task.length ? [el("h4", {}, "Found about the task"), task.map((found) => finding(found, known))] : null,
    one.context ? el("details", {}, el("summary", {}, "What the judge was told"), text(one.context)) : null,
    one.candidates.map((some) => candidate(some, one, known)),
    one.more ? el("p", { class: "faint" }, `${one.more} more findings in the run folder`) : null,
    one.updates.filter((update) => update.note).map((update) => el("p", { class: "faint" }, `${update.prompt}: ${update.note}`)),
    changed(entry.rewrites[place]));
}
function entryView(entry, known, names) {
  const facts = [[entry.outcome, entry.outcome], entry.reward === null ? null : [`R ${number(entry.reward)}`], entry.margin === null ? null : [`margin ${number(entry.margin)}`],
    [names[entry.part]], entry.source ? [entry.source] : null, [`${entry.rounds.length} round${entry.rounds.length === 1 ? "" : "s"}`], entry.tokens ? [`${entry.tokens} tokens`] : null,
    entry.trace ? [`trace ${entry.trace}`] : null];
  const drawn = entry.rounds.length ? entry.rounds[entry.rounds.length - 1].found.filter((found) => found.candidate === null && found.images.length) : [];
  return [el("h3", {}, entry.id), el("p", { class: "chips" }, facts.filter(Boolean).map((one) => chip(...one))),
    entry.reason ? el("p", { class: entry.outcome }, entry.reason) : null,
    entry.system ? el("details", {}, el("summary", {}, "System"), text(entry.system)) : null,
    el("h4", {}, "Prompt"), text(entry.prompt), pictures(entry.images, known, "image of the task"),
    drawn.map((found) => pictures(found.images, known, `what ${found.tool} found`)),
    entry.reference ? el("details", {}, el("summary", {}, "Reference"), text(entry.reference)) : null,
    entry.chosen ? el("div", { class: "two" }, answer(entry, "chosen", known), answer(entry, "rejected", known)) : null,
    entry.rounds.map((one, place) => roundOf(entry, place, known))].flat(Infinity).filter(Boolean);
}
