// A page that the server wrote (a scorecard, a playbook, a base's model card) in a frame where no script can run.
//
// The frame inherits this page's policy, which refuses styles written into a document. So the page's style sheets are
// handed to the frame as constructed ones and its style attributes are set one by one; nothing is loosened for it.
import { alertOf } from "./alert.js";
import { giveBack } from "./dialog.js";
import { fill, h } from "./dom.js";

/**
 * Fetch a page with the key and show it.
 * @param {{title: string, load: () => Promise<string>, filename: string}} page
 */
export async function openPage({ title, load, filename }) {
  const opener = document.activeElement;
  const body = h("div", { class: "muted inside" }, "Loading …");
  const save = h("a", { class: "button", hidden: true, download: filename }, "Save");
  const close = h("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const dialog = h("dialog", { class: "page", "aria-label": title },
    h("header", { class: "row spread" }, h("h2", {}, title), h("div", { class: "row" }, save, close)), body);
  dialog.addEventListener("close", () => {
    URL.revokeObjectURL(save.href);
    dialog.remove();
    giveBack(opener);
  });
  document.body.append(dialog);
  dialog.showModal();
  try {
    const html = await load();
    save.href = URL.createObjectURL(new Blob([html], { type: "text/html" }));
    save.hidden = false;
    const frame = h("iframe", { title, sandbox: "allow-same-origin", srcdoc: "<!doctype html><html lang=en></html>" });
    frame.addEventListener("load", () => {
      draw(frame, html);
      // keys pressed inside the frame do not reach the dialog
      frame.contentDocument.addEventListener("keydown", (event) => event.key === "Escape" && dialog.close());
    }, { once: true });
    body.replaceWith(frame);
  } catch (error) {
    fill(body, alertOf(error));
  }
}

/** A version's scorecard as a whole page. */
export function openCard(api, adapter, version) {
  return openPage({
    title: `Scorecard of ${adapter}, version ${version}`, filename: `${adapter}-${version}-card.html`,
    load: () => api.getPage(`/v1/adapters/${encodeURIComponent(adapter)}/versions/${version}/card`),
  });
}

/** A version's playbook: why it is what it is, and what would improve it. */
export function openPlaybook(api, adapter, version) {
  return openPage({
    title: `Playbook of ${adapter}, version ${version}`, filename: `${adapter}-${version}-playbook.html`,
    load: () => api.getPage(`/v1/adapters/${encodeURIComponent(adapter)}/versions/${version}/playbook`),
  });
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
