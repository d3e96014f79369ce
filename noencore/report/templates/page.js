// The bar of sections says where one is; the methods text goes to the clipboard.
(() => {
  "use strict";
  const links = new Map([...document.querySelectorAll("nav.sections a")].map((link) => [link.hash.slice(1), link]));
  const sections = [...document.querySelectorAll("main > section")];

  const mark = () => {
    const passed = sections.filter((section) => section.getBoundingClientRect().top < innerHeight / 3);
    const here = passed.at(-1) ?? sections[0];
    for (const [id, link] of links) {
      if (id === here.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  let waiting = false;
  const later = () => {
    if (!waiting) requestAnimationFrame(() => ((waiting = false), mark()));
    waiting = true;
  };
  addEventListener("scroll", later, { passive: true });
  addEventListener("resize", later);
  mark();

  const text = document.getElementById("methods-text");
  const copied = document.getElementById("copied");

  const copySelection = () => {
    getSelection().selectAllChildren(text);
    return document.execCommand("copy");
  };
  document.getElementById("copy-methods").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.innerText);
      copied.textContent = "Copied.";
    } catch {
      copied.textContent = copySelection() ? "Copied." : "The text is selected: copy it with the keyboard.";
    }
  });
})();
