/* Figures are drawn when they come into sight, in the colours of the page. */
(() => {
  const figures = told("figures"), seen = new Set(), dark = matchMedia("(prefers-color-scheme: dark)");
  const deep = (one, other) => {
    const made = { ...one };
    for (const [name, value] of Object.entries(other))
      made[name] = value && typeof value === "object" && !Array.isArray(value) ? deep(made[name] || {}, value) : value;
    return made;
  };
  function layout(of) {
    const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
    const axis = { gridcolor: colour("--grid"), zerolinecolor: colour("--grid"), automargin: true, fixedrange: true };
    return deep({
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--text"), size: 12 },
      margin: { l: 45, r: 12, t: 28, b: 40 }, xaxis: axis, yaxis: axis, legend: { orientation: "h", y: 1.12, x: 0 }, dragmode: false,
      hoverlabel: { bgcolor: colour("--raised"), font: { color: colour("--text") } },
    }, of);
  }
  function draw(place) {
    const { data, layout: own } = figures[place.dataset.figure];
    Plotly.react(place, data.map((trace) => ({ showlegend: data.length > 1, ...trace })), layout(own), { responsive: true, displayModeBar: false });
  }
  const watch = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries)
      if (isIntersecting) { watch.unobserve(target); seen.add(target); draw(target); }
  }, { rootMargin: "300px" });
  for (const place of document.querySelectorAll(".chart")) watch.observe(place);
  dark.addEventListener("change", () => seen.forEach(draw));
})();
