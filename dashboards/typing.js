// Have text areas tell what is typed in them as it is typed, not only once they are left: Streamlit takes Ctrl+Enter for that.
// The page is listened to, not the areas: they may be drawn after this, and anew.
const pauses = new Map(); // of each area, in ms
let waiting;

document.addEventListener("input", ({ target }) => {
  const area = [...pauses.keys()].find((key) => target.closest(`.st-key-${key} textarea`));
  if (!area) return;
  target.spellcheck = false;
  tellSoon(target, pauses.get(area));
});

function tellSoon(area, pauseMs) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    area.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true }));
  }, pauseMs);
}

export default function ({ data }) {
  pauses.set(data.area, data.pause_ms);
  const area = document.querySelector(`.st-key-${data.area} textarea`);
  if (area) tellSoon(area, data.pause_ms); // what was typed before this came; where nothing was, Streamlit takes no notice
}
