// The blind test: takes shuffled and named by letters, what the listener says kept in the browser, tallied, exported.
(() => {
  "use strict";
  const button = document.getElementById("blind");
  if (!button) return;
  const key = JSON.parse(document.getElementById("listening-key").textContent);
  const [reveal, status, tally] = ["reveal", "blind-status", "tally"].map((id) => document.getElementById(id));
  const clips = [...document.querySelectorAll("article[data-clip]")];
  const names = new Map();

  const fresh = () => ({ seed: crypto.getRandomValues(new Uint32Array(1))[0], answers: {} });

  const load = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(key));
      if (Number.isInteger(kept?.seed) && typeof kept.answers === "object") return kept;
    } catch {
      // Nothing readable is kept: the test starts anew.
    }
    return fresh();
  };

  const save = () => {
    try {
      localStorage.setItem(key, JSON.stringify(state));
      return true;
    } catch {
      return false;
    }
  };

  let state = load();

  /** Random numbers in [0, 1) that follow from a seed (a linear congruential generator modulo 2^32). */
  const randoms = (seed) => () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;

  const shuffled = (items, random) => {
    const left = [...items];
    return items.map(() => left.splice(Math.floor(random() * left.length), 1)[0]);
  };

  const letter = (at) => (at < 26 ? "" : letter(Math.floor(at / 26) - 1)) + String.fromCharCode(65 + (at % 26));

  const rename = (take, name) => {
    const title = take.closest("article").querySelector("h3 bdi").textContent;
    take.querySelector(".take-name").textContent = name;
    take.setAttribute("aria-label", name);
    take.querySelector("audio").setAttribute("aria-label", `${name}, ${title}`);
  };

  /** A player as it was when the page was opened: how far it was heard, or how loud, would tell which one it is. */
  const restore = (player) => {
    player.pause();
    Object.assign(player, { currentTime: 0, volume: 1, muted: false, playbackRate: 1 });
  };

  const isAsked = (take) => take.dataset.recipe !== "original";
  const placeOf = (take) => {
    const { clip, evalSeed } = take.closest("article").dataset;
    return JSON.stringify([clip, evalSeed, take.dataset.take]);
  };

  const setBlind = (on) => {
    save();
    const random = randoms(state.seed);
    random();
    document.getElementById("listening").classList.toggle("blind", on);
    button.setAttribute("aria-pressed", on);
    for (const clip of clips) {
      const takes = clip.originalOrder;
      const asked = takes.filter(isAsked);
      const order = on ? shuffled(asked, random) : asked;
      order.forEach((take, at) => rename(take, on ? letter(at) : names.get(take)));
      takes.forEach((take) => restore(take.querySelector("audio")));
      clip.querySelector(".takes").append(...takes.filter((take) => !isAsked(take)), ...order);
      asked.forEach((take) => (take.querySelector(".asks").hidden = !on));
    }
    say();
  };

  const say = () => {
    const count = Object.keys(state.answers).length;
    const all = clips.flatMap((clip) => clip.originalOrder.filter(isAsked)).length;
    status.textContent = count || isOn() ? `${count} of ${all} takes have an answer.` : "";
  };
  const isOn = () => button.getAttribute("aria-pressed") === "true";

  const answer = (take, select) => {
    const given = { ...state.answers[placeOf(take)], [select.dataset.ask]: select.value };
    if (Object.values(given).some(Boolean)) state.answers[placeOf(take)] = given;
    else delete state.answers[placeOf(take)];
    const kept = save();
    say();
    if (!kept) status.textContent += " This browser keeps nothing: export before you close the page.";
    if (!tally.hidden) showTally();
  };

  const showAnswers = () => {
    for (const select of document.querySelectorAll("select[data-ask]")) {
      const given = state.answers[placeOf(select.closest("[data-take]"))];
      select.value = given?.[select.dataset.ask] ?? "";
    }
  };

  /** One object a take with an answer, in the order of the page without shuffling. */
  const answered = () =>
    clips
      .flatMap((clip) => clip.originalOrder.filter(isAsked))
      .map((take) => ({ take, given: state.answers[placeOf(take)] }))
      .filter(({ given }) => given)
      .map(({ take, given }) => ({
        clip_id: take.closest("article").dataset.clip,
        set: take.closest("article").dataset.set,
        model: take.dataset.take,
        recipe: take.dataset.recipe,
        original: given.original ?? "",
        quality: given.quality ?? "",
      }));

  const cells = (tag, texts) =>
    texts.map((text) => {
      const cell = document.createElement(tag);
      cell.textContent = text;
      return cell;
    });

  const yes = (rows) => {
    const said = rows.filter((row) => row.original);
    return said.length ? `${said.filter((row) => row.original === "yes").length} of ${said.length}` : "";
  };

  const quality = (rows) => {
    const marks = rows.filter((row) => row.quality).map((row) => Number(row.quality));
    const mean = marks.reduce((sum, mark) => sum + mark, 0) / marks.length;
    return marks.length ? `${mean.toFixed(2)} (${marks.length})` : "";
  };

  const showTally = () => {
    const rows = answered();
    const table = document.createElement("table");
    const heads = cells("th", ["Recipe", "Original’s tune: yes", "on forget clips", "Quality, 1 to 5 (answers)"]);
    heads.forEach((head) => (head.scope = "col"));
    table.createTHead().insertRow().append(...heads);
    const body = table.createTBody();
    for (const recipe of new Set(rows.map((row) => row.recipe))) {
      const own = rows.filter((row) => row.recipe === recipe);
      const [head] = cells("th", [recipe]);
      head.scope = "row";
      const numbers = [yes(own), yes(own.filter((row) => row.set === "forget")), quality(own)];
      body.insertRow().append(head, ...cells("td", numbers));
    }
    const nothing = document.createElement("p");
    nothing.textContent = "Nothing has been answered yet.";
    tally.replaceChildren(rows.length ? table : nothing);
  };

  const setTally = (on) => {
    tally.hidden = !on;
    reveal.setAttribute("aria-pressed", on);
    if (on) showTally();
  };

  const download = () => {
    const columns = ["clip_id", "set", "model", "recipe", "original", "quality"];
    const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const lines = answered().map((row) => columns.map((name) => quoted(row[name])).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([[columns.join(","), ...lines, ""].join("\n")], { type: "text/csv" }));
    link.download = "blind-test.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  for (const clip of clips) {
    clip.originalOrder = [...clip.querySelectorAll(".take")];
    clip.originalOrder.forEach((take) => names.set(take, take.querySelector(".take-name").textContent));
  }
  button.addEventListener("click", () => setBlind(!isOn()));
  reveal.addEventListener("click", () => setTally(tally.hidden));
  document.getElementById("export").addEventListener("click", download);
  document.getElementById("clear").addEventListener("click", () => {
    state = fresh();
    save();
    showAnswers();
    setTally(false);
    setBlind(isOn());
  });
  document.getElementById("listening").addEventListener("change", (event) => {
    if (event.target.matches("select[data-ask]")) answer(event.target.closest("[data-take]"), event.target);
  });
  showAnswers();
  say();
})();
