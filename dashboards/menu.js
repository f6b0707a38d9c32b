// Fold the navigation once a page of it is chosen where it lies over the page, as on a phone: Streamlit folds only its own.
const NARROW_PX = 768; // Streamlit's own bound
export default function () {
  if (document.body.dataset.foldsMenu) return;
  document.body.dataset.foldsMenu = "true";
  document.addEventListener("click", ({ target }) => {
    if (innerWidth <= NARROW_PX && target.closest("[data-testid=stSidebar] [data-testid=stPageLink] a"))
      document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click();
  });
}
