// Have text areas tell what is typed in them as it is typed, not only once they are left: Streamlit takes Ctrl+Enter for that.
// The page is listened to, not the areas: they may be drawn after this, and anew.
const pauses = new Map(); // of each area, in ms
let waiting;

document.addEventListener("input", ({ target }) => {
  const area = [...pauses.keys()].find((key) => target.closest(`.st-key-${key} textarea`));
  if (!area) return;
  target.spellcheck = false;
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    target.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true }));
  }, pauses.get(area));
});

export default function ({ data }) {
  pauses.set(data.area, data.pause_ms);
}
