// The scorecard page in a frame where no script can run.
//
// The frame inherits this page's policy, which refuses styles written into a document. So the card's style sheets are
// handed to the frame as constructed ones and its style attributes are set one by one; nothing is loosened for it.
import { alertOf } from "./alert.js";
import { fill, h } from "./dom.js";

/** Fetch a version's card with the key and show it. */
export async function openCard(api, adapter, version) {
  const title = `Scorecard of ${adapter}, version ${version}`;
  const body = h("div", { class: "muted" }, "Loading the scorecard …");
  const save = h("a", { class: "button", hidden: true, download: `${adapter}-${version}-card.html` }, "Save");
  const close = h("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const dialog = h("dialog", { class: "page", "aria-label": title },
    h("header", { class: "row spread" }, h("h2", {}, title), h("div", { class: "row" }, save, close)), body);
  dialog.addEventListener("close", () => {
    URL.revokeObjectURL(save.href);
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  try {
    const html = await api.getPage(`/v1/adapters/${encodeURIComponent(adapter)}/versions/${version}/card`);
    save.href = URL.createObjectURL(new Blob([html], { type: "text/html" }));
    save.hidden = false;
    const frame = h("iframe", { title, sandbox: "allow-same-origin", srcdoc: "<!doctype html><html lang=en></html>" });
    frame.addEventListener("load", () => draw(frame, html), { once: true });
    body.replaceWith(frame);
  } catch (error) {
    fill(body, alertOf(error));
  }
}

/** Put a whole page's content and style into an empty frame. */
function draw(frame, html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const inside = frame.contentDocument;
  const sheets = [...page.querySelectorAll("style")].map((style) => {
    const sheet = new frame.contentWindow.CSSStyleSheet({ media: style.media });
    sheet.replaceSync(style.textContent);
    style.remove();
    return sheet;
  });
  page.querySelectorAll("script, link, meta, base, iframe, object, embed").forEach((element) => element.remove());
  const styled = [...page.querySelectorAll("[style]")].map((element) => {
    const css = element.getAttribute("style");
    element.removeAttribute("style");
    return [element, css];
  });
  for (const { name, value } of page.body.attributes) {
    if (name !== "style" && !name.startsWith("on")) inside.body.setAttribute(name, value);
  }
  inside.body.replaceChildren(...page.body.childNodes);
  for (const [element, css] of styled) {
    (element === page.body ? inside.body : element).style.cssText = css;
  }
  inside.adoptedStyleSheets = sheets;
}
