// Have a text area tell what is typed in it as it is typed, not only once it is left: Streamlit takes Ctrl+Enter for that.
export default function ({ data }) {
  const area = document.querySelector(`.st-key-${data.area} textarea`);
  if (!area || area.dataset.tells) return;
  area.dataset.tells = "true";
  area.spellcheck = false;
  let waiting;
  area.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      area.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true }));
    }, data.pause_ms);
  });
}
