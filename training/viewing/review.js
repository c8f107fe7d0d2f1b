/* One pair at a time; every key is a mark that the server has written down before the page shows it. */
(async () => {
  const $ = (id) => document.getElementById(id), names = told("names");
  const LEVELS = {
    better: [["ArrowLeft", "left", "← left"], ["ArrowRight", "right", "right →"], ["ArrowDown", "neither", "↓ neither"]],
    satisfaction: [["1", "satisfied", "1 satisfied"], ["2", "okay", "2 okay"], ["3", "dissatisfied", "3 dissatisfied"]],
    difficulty: [["4", "very easy", "4 very easy"], ["5", "easy", "5 easy"], ["6", "medium", "6 medium"], ["7", "hard", "7 hard"]],
  };
  const ASKED = { better: "Better answer", satisfaction: "Satisfaction", difficulty: "Difficulty" };
  let marks = [], at = 0, shown = null, writing = Promise.resolve();

  async function ask(path, body) {
    const sent = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
    const answer = await fetch(path, sent);
    const said = await answer.json().catch(() => ({ error: `the server said ${answer.status}` }));
    if (!answer.ok) throw new Error(said.error || `the server said ${answer.status}`);
    return said;
  }
  /* One request after the other, so that marks arrive in the order of the keys. */
  function inTurn(work) {
    writing = writing.then(work).then(() => { $("warning").textContent = ""; },
      (error) => { $("warning").textContent = `Not written: ${error.message}.${error instanceof TypeError ? " Is the command still running?" : ""}`; });
    return writing;
  }
  const complete = (mark) => mark && mark.better && mark.satisfaction && mark.difficulty;
  async function take(state) {
    marks = state.marks;
    $("done").textContent = `${marks.filter(complete).length} of ${marks.length} marked`;
    $("told").replaceChildren(...state.told.map(([what, words]) => el("tr", {}, el("td", {}, what), el("td", {}, words))));
    const mark = marks[at] || {};
    if (shown && Boolean(shown.entry) !== Boolean(mark.better)) await load();
    else levels();
  }
  function levels() {
    const mark = marks[at] || {};
    $("levels").replaceChildren(...Object.entries(LEVELS).map(([field, some]) => el("div", { class: "levels", role: "group", "aria-label": ASKED[field] },
      el("span", {}, ASKED[field]), some.map(([, value, words]) => el("button", { type: "button", "data-value": value, "aria-pressed": String(mark[field] === value),
        disabled: (field === "better") === Boolean(mark.better), onclick: () => say(field, value) }, words)))));
    if (document.activeElement !== $("note")) $("note").value = mark.note || "";
  }
  async function load() {
    const mine = at, found = await ask(`pair/${at}`);
    if (mine !== at) return;
    shown = found;
    const known = found.pictures, side = (one, name) => el("div", { class: "answer" }, el("h4", {}, name), text(one.text), film(one.film, known));
    $("where").textContent = `pair ${at + 1} of ${marks.length}`;
    $("pair").replaceChildren(...[el("h3", {}, found.id), found.system ? text(found.system) : null, el("h4", {}, "Prompt"), text(found.prompt),
      pictures(found.images, known, "image of the task"), el("div", { class: "two" }, side(found.left, "Left"), side(found.right, "Right")),
      found.entry ? el("details", { open: true }, el("summary", {}, "How it was judged"), entryView(found.entry, known, names)) : null].filter(Boolean));
    levels();
  }
  /* Which pair is meant is asked when a key's turn comes: keys may be typed faster than answers arrive. */
  const say = (field, value) => inTurn(async () => {
    if (field !== "better" && !(marks[at] || {}).better) throw new Error("say first which answer is better");
    await take(await ask("mark", { at, field, value }));
  });
  const go = (where) => inTurn(async () => {
    await noteNow();
    at = Math.min(marks.length - 1, Math.max(0, where()));
    shown = null;
    history.replaceState(null, "", "#" + (at + 1));
    await load();
  });
  async function noteNow() {
    const note = $("note").value;
    if (shown && note !== ((marks[at] || {}).note || "")) await take(await ask("mark", { at, field: "note", value: note }));
  }
  const undo = () => inTurn(async () => {
    const state = await ask("undo", {});
    if (state.at !== null && state.at !== at) { at = state.at; shown = null; }
    await take(state);
    if (!shown) await load();
  });
  const nextOpen = () => [...marks.keys()].map((place) => (at + 1 + place) % marks.length).find((place) => !complete(marks[place])) ?? at;
  const keys = { j: () => go(() => at + 1), k: () => go(() => at - 1), u: undo, n: () => $("note").focus(), Enter: () => go(nextOpen) };
  for (const [field, some] of Object.entries(LEVELS)) for (const [key, value] of some) keys[key] = () => say(field, value);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.key === "Escape") return document.activeElement.blur();
    if (/^(INPUT|TEXTAREA)$/.test(event.target.tagName) || (event.key === "Enter" && event.target.tagName !== "BODY")) return;
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  $("note").addEventListener("change", () => inTurn(noteNow));
  $("previous").addEventListener("click", keys.k);
  $("next").addEventListener("click", keys.j);
  const again = () => document.hidden || inTurn(async () => take(await ask("state")));
  addEventListener("focus", again);
  setInterval(again, 3000);
  await inTurn(async () => {
    await take(await ask("state"));
    const wanted = Number(location.hash.slice(1)) - 1;
    const open = marks.findIndex((mark) => !complete(mark));
    at = Number.isInteger(wanted) && wanted >= 0 && wanted < marks.length ? wanted : Math.max(0, open);
    await load();
  });
  document.documentElement.dataset.ready = "yes";
})();
