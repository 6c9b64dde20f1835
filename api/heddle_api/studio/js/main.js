// Where the page starts: who is signed in, which view the address asks for, and the bar on top.
import { adaptersView } from "./adapters_view.js";
import { Api, readConfig } from "./api.js";
import { alertOf } from "./alert.js";
import { fill, h } from "./dom.js";
import { editView } from "./edit_view.js";
import { jobsView } from "./jobs_view.js";
import { session } from "./session.js";
import { signInView } from "./sign_in.js";

const VIEWS = { edit: editView, adapters: adaptersView, jobs: jobsView };
const main = document.getElementById("main");
const nav = document.getElementById("views");
const bar = document.getElementById("session");
let api = null;
let shown = null;

function show(view) {
  shown?.stop();
  shown = view;
  fill(main, view.element);
  document.title = `${view.title} · Heddle studio`;
  view.start?.();
}

function route() {
  if (!api) return;
  const [name, ...rest] = location.hash.replace(/^#\//, "").split("/").map(decodeURIComponent);
  const chosen = name in VIEWS ? name : "edit";
  for (const link of nav.children) {
    if (link.getAttribute("href") === `#/${chosen}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  show(VIEWS[chosen](api, rest));
}

function leave(reason) {
  api = null;
  session.close();
  nav.hidden = bar.hidden = true;
  show(signInView(enter, reason));
}

async function enter(key) {
  const { edge_url: edgeUrl } = await readConfig();
  let refused = () => {};
  const tried = new Api(edgeUrl, key, () => refused());
  const me = await tried.get("/v1/me");
  if (!me.tenant) throw new Error("This is an operator's key. Sign in with a tenant's key: edits belong to a tenant");
  session.open(key);
  refused = () => leave("Your key is no longer accepted. Sign in with another one.");
  api = tried;
  document.getElementById("who").textContent = me.tenant.name ?? me.tenant;
  nav.hidden = bar.hidden = false;
  route();
}

async function begin() {
  const key = session.key();
  if (!key) return leave(null);
  fill(main, h("p", { class: "muted" }, "Signing in …"));
  try {
    await enter(key);
  } catch (error) {
    if (error.status === 401) return leave("Your key is no longer accepted. Sign in with another one.");
    fill(main, alertOf(error), h("p", {}, h("button", { type: "button", onclick: begin }, "Try again")));
  }
}

window.addEventListener("hashchange", route);
document.getElementById("sign-out").addEventListener("click", () => leave(null));
begin();
