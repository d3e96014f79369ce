// Figures: drawn when they come near the screen, the rest when there is time, in the colours of the page.
(() => {
  "use strict";
  const figures = [...document.querySelectorAll("figure[data-figure]")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const small = matchMedia("(max-width: 44rem)");
  const coarse = matchMedia("(pointer: coarse)");
  const contents = new Map();
  const OPTIONS = { displaylogo: false, displayModeBar: false, responsive: true, showLink: false };

  /** Plotly, which stands in the page as text: reading it takes longer than all else, so the page opens first. */
  const plotly = () => {
    if (!window.Plotly) {
      const script = document.createElement("script");
      script.textContent = document.getElementById("plotly").textContent;
      document.head.append(script);
      script.remove();
    }
    return window.Plotly;
  };

  /** A figure's layout in the colours of the page, as wide as there is room. */
  const dressed = ({ layout, narrow }) => {
    const made = structuredClone(small.matches ? narrow : layout);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const clear = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" };
    const behaviour = { autosize: true, uirevision: "kept", dragmode: coarse.matches ? false : "zoom" };
    Object.assign(made, clear, behaviour, { font: { ...made.font, color: colour("--text"), family: colour("--sans") } });
    made.legend = { ...made.legend, bgcolor: "rgba(0,0,0,0)" };
    const card = { bgcolor: colour("--raised"), bordercolor: colour("--muted"), font: { color: colour("--text") } };
    made.hoverlabel = { ...made.hoverlabel, ...card };
    for (const name of Object.keys(made).filter((key) => /^[xy]axis\d*$/.test(key))) {
      const line = colour("--muted");
      Object.assign(made[name], { gridcolor: colour("--grid"), zerolinecolor: line, linecolor: line, tickcolor: line });
    }
    return made;
  };

  /** The static picture that the page holds for readers without scripts: shown until the figure is drawn. */
  const addStill = (figure) => {
    const markup = new DOMParser().parseFromString(figure.querySelector("noscript").textContent, "text/html");
    figure.querySelector(".plot").after(document.importNode(markup.querySelector("img"), true));
  };

  const show = (figure) => {
    const plot = figure.querySelector(".plot");
    const layout = dressed(contents.get(figure));
    plot.style.height = `${layout.height}px`;
    plotly()
      .react(plot, contents.get(figure).data, layout, OPTIONS)
      .then(
        () => figure.classList.add("drawn"),
        () => figure.classList.remove("drawn"),
      );
  };

  const draw = (figure) => {
    if (contents.has(figure)) return;
    contents.set(figure, JSON.parse(figure.querySelector('script[type="application/json"]').textContent));
    show(figure);
  };

  figures.forEach(addStill);
  const near = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: "300px" },
  );
  figures.forEach((figure) => near.observe(figure));
  if (figures.length) addEventListener("load", () => (window.requestIdleCallback ?? setTimeout)(plotly));
  for (const query of [dark, small]) {
    query.addEventListener("change", () => [...contents.keys()].forEach(show));
  }
})();
