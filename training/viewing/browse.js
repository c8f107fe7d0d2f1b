/* The rows: filtered, sorted, turned over by key; a row is opened when it is looked at. */
(async () => {
  const FIELDS = ["id", "part", "outcome", "reward", "margin", "source", "rounds", "snippet", "chosen", "rejected"];
  const PIECE = 50, PAGE = 100, names = told("names"), known = told("pictures");
  const $ = (id) => document.getElementById(id), list = $("list"), detail = $("detail");
  const index = (await opened($("index").textContent)).map((row, at) => ({ at, ...Object.fromEntries(FIELDS.map((name, place) => [name, row[place]])) }));
  const packed = [...document.querySelectorAll(".piece")], pieces = [], words = [];
  let found = index, page = 0, current = null, asked = 0;

  const piece = (place) => (pieces[place] ||= opened(packed[place].textContent));
  const entryAt = async (at) => (await piece(Math.floor(at / PIECE)))[at % PIECE];
  const address = (row) => "#row=" + encodeURIComponent(row.part + ":" + row.id);
  function fill(id, values) {
    for (const value of values) $(id).append(el("option", { value: value[0] }, value[1]));
  }
  const counted = (name) => {
    const counts = new Map();
    for (const row of index) counts.set(row[name], (counts.get(row[name]) || 0) + 1);
    return [...counts].sort((one, other) => other[1] - one[1]);
  };
  fill("outcome", counted("outcome").map(([value, n]) => [value, `${value} (${n})`]));
  fill("source", counted("source").slice(0, 200).map(([value, n]) => ["=" + value, `${(value || "no source").slice(0, 40)} (${n})`]));
  fill("part", names.map((name, place) => [String(place), name]));

  async function searchable(row) {
    const of = (one) => [one.id, one.prompt, one.reason, one.chosen && one.chosen.text, one.rejected && one.rejected.text].join("\n").toLowerCase();
    return (words[row.at] ||= of(await entryAt(row.at)));
  }
  async function filter() {
    const mine = ++asked, query = $("search").value.trim().toLowerCase();
    const [outcome, part, source, sort] = ["outcome", "part", "source", "sort"].map((id) => $(id).value);
    let some = index.filter((row) => (!outcome || row.outcome === outcome) && (!part || String(row.part) === part) && (!source || "=" + row.source === source));
    if (query) {
      const kept = [];
      for (const row of some) if ((await searchable(row)).includes(query)) kept.push(row);
      some = kept;
    }
    if (mine !== asked) return;
    const by = sort.replace("-", ""), way = sort.endsWith("-") ? -1 : 1;
    const value = (row) => (by === "longer" ? (row.chosen === null ? null : row.chosen - row.rejected) : row[by]);
    if (by) some = [...some].sort((one, other) => (value(one) === null) - (value(other) === null) || way * (value(one) - value(other)) || one.at - other.at);
    found = some; page = 0;
    show();
  }
  function show() {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    list.replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map((row) => el("li", { role: "option", id: "r" + row.at, "aria-selected": String(row === current), onclick: () => select(row) },
      el("span", { class: row.outcome }, row.outcome), row.reward === null ? "" : ` R ${number(row.reward)}`, " ", el("b", {}, row.id), el("br"), row.snippet)));
    $("found").textContent = `${found.length} of ${index.length} rows`;
    $("place").textContent = `page ${page + 1} of ${pages}`;
    $("back").disabled = page === 0; $("on").disabled = page + 1 >= pages;
  }
  async function select(row, quiet) {
    current = row;
    const place = found.indexOf(row);
    if (place >= 0 && Math.floor(place / PAGE) !== page) { page = Math.floor(place / PAGE); show(); }
    for (const one of list.children) one.setAttribute("aria-selected", String(one.id === "r" + row.at));
    list.setAttribute("aria-activedescendant", "r" + row.at);
    const entry = await entryAt(row.at);
    if (current !== row) return;
    detail.replaceChildren(...entryView(entry, known, names));
    if (quiet) return;
    history.replaceState(null, "", address(row));
    const line = $("r" + row.at);
    if (line) list.scrollTop = line.offsetTop - list.offsetTop - list.clientHeight / 2;
  }
  function step(by) {
    const place = found.indexOf(current) + by;
    if (found.length) select(found[Math.min(found.length - 1, Math.max(0, place))]);
  }
  function turn(by) { page += by; show(); list.scrollTop = 0; }
  const KEYS = { j: () => step(1), k: () => step(-1), "/": () => $("search").focus(), o: () => {
    const rounds = [...detail.querySelectorAll("details.round")], open = rounds.some((one) => !one.open);
    for (const one of rounds) one.open = open;
  } };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return document.activeElement.blur();
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const arrows = event.target === list ? { ArrowDown: KEYS.j, ArrowUp: KEYS.k } : {};
    const act = { ...KEYS, ...arrows }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  let waiting = 0;
  $("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 200); });
  for (const id of ["outcome", "part", "source", "sort"]) $(id).addEventListener("change", filter);
  document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());
  $("back").addEventListener("click", () => turn(-1));
  $("on").addEventListener("click", () => turn(1));
  function fromAddress() {
    const wanted = index.find((row) => address(row) === location.hash);
    if (wanted) { select(wanted); $("rows").scrollIntoView(); }
    return wanted;
  }
  addEventListener("hashchange", fromAddress);
  show();
  if (!fromAddress() && index.length) select(index[0], true);
  document.documentElement.dataset.ready = "yes";
})();
