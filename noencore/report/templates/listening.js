// Players: one plays at a time; arrow keys go from take to take, the space bar starts and stops the one in focus.
(() => {
  "use strict";
  const players = [...document.querySelectorAll("audio[data-player]")];

  const pauseOthers = (player) => players.filter((other) => other !== player).forEach((other) => other.pause());

  // The event comes later than the start: a player that has been stopped since must not stop the one now playing.
  document.addEventListener("play", ({ target }) => target.paused || pauseOthers(target), true);

  const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

  const toggle = (player) => {
    if (!player.paused) return player.pause();
    pauseOthers(player);
    player.play().catch(() => {});
  };

  /** Move the focus within a clip: the take in focus is the one that the tab key comes back to. */
  const moveTo = (takes, take) => {
    takes.forEach((other) => (other.tabIndex = other === take ? 0 : -1));
    take.focus();
  };

  for (const group of document.querySelectorAll(".takes")) {
    group.addEventListener("keydown", (event) => {
      const takes = [...group.children];
      const at = takes.indexOf(event.target);
      if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === " ") toggle(event.target.querySelector("audio"));
      else if (event.key in STEPS) moveTo(takes, takes[(at + STEPS[event.key] + takes.length) % takes.length]);
      else return;
      event.preventDefault();
    });
  }
})();
