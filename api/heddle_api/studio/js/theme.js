// Light or dark: as the system says until the reader chooses. Runs before the page is drawn, so that nothing flashes.
(() => {
  const NAME = "heddle.theme";
  const WORDS = { system: ["◐", "as the system says"], light: ["☀", "light"], dark: ["☾", "dark"] };
  const ORDER = ["system", "light", "dark"];

  /** @returns {string} what was chosen; a browser that keeps nothing follows the system */
  function chosen() {
    try {
      const kept = localStorage.getItem(NAME);
      return kept === "light" || kept === "dark" ? kept : "system";
    } catch {
      return "system";
    }
  }

  /** @param {string} theme */
  function wear(theme) {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }

  /** @param {string} theme */
  function keep(theme) {
    try {
      if (theme === "system") localStorage.removeItem(NAME);
      else localStorage.setItem(NAME, theme);
    } catch {
      // worn for this visit only
    }
  }

  wear(chosen());
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    let theme = chosen();
    const label = () => {
      const [sign, words] = WORDS[theme];
      button.textContent = sign;
      button.setAttribute("aria-label", `Colours: ${words}`);
      button.title = `Colours: ${words}`;
    };
    button.addEventListener("click", () => {
      theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
      keep(theme);
      wear(theme);
      label();
    });
    label();
  });
})();
