// Where the page starts: who is signed in, which view the address asks for, and the bar on top.
import { accountView } from "./account_view.js";
import { adaptersView } from "./adapters_view.js";
import { Api, readConfig } from "./api.js";
import { alertOf } from "./alert.js";
import { basesView } from "./bases_view.js";
import { cardView } from "./card_view.js";
import { clusterView } from "./cluster_view.js";
import { dataView } from "./data_view.js";
import { fill, h, notify } from "./dom.js";
import { editView } from "./edit_view.js";
import { jobsView } from "./jobs_view.js";
import { reportView } from "./report_view.js";
import { rolloutView } from "./rollout_view.js";
import { rolloutsView } from "./rollouts_view.js";
import { session } from "./session.js";
import { signInView } from "./sign_in.js";
import { tenantView } from "./tenant_view.js";
import { tenantsView } from "./tenants_view.js";

const TENANT_VIEWS = { edit: editView, data: dataView, jobs: jobsView, adapters: adaptersView, account: accountView };
const OPERATOR_VIEWS = { tenants: tenantsView, cluster: clusterView, jobs: jobsView, bases: basesView, rollouts: rolloutsView, account: accountView };
const DEEPER_VIEWS = { data: reportView, adapters: cardView, tenants: tenantView, rollouts: rolloutView };
const NAMES = {
  edit: "Edit", data: "Data", jobs: "Jobs", adapters: "Adapters",
  tenants: "Tenants", cluster: "Cluster", bases: "Bases", rollouts: "Rollouts", account: "Account",
};
const main = document.getElementById("main");
const nav = document.getElementById("views");
const who = document.getElementById("who");
const signOut = document.getElementById("sign-out");
let api = null;
let views = {};
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
  const [name, ...rest] = location.hash.replace(/^#\//, "").split("/").map(decoded);
  const chosen = Object.hasOwn(views, name) ? name : Object.keys(views)[0];
  for (const link of nav.children) {
    if (link.getAttribute("href") === `#/${chosen}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const wanted = (rest[0] && DEEPER_VIEWS[chosen]) || views[chosen];
  show(wanted(api, rest));
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function leave(reason) {
  api = null;
  session.close();
  nav.hidden = signOut.hidden = true;
  who.textContent = "";
  show(signInView(enter, reason));
}

async function enter(key) {
  const { edge_url: edgeUrl } = await readConfig();
  let refused = () => {};
  const tried = new Api(edgeUrl, key, () => refused());
  const me = await tried.get("/v1/me");
  session.open(key);
  refused = () => {
    if (api === tried) leave("Your key is no longer accepted: it expired or was revoked. Sign in again to go on where you were.");
  };
  tried.scopes = me.scopes;
  tried.operator = !me.tenant;
  views = me.tenant ? TENANT_VIEWS : OPERATOR_VIEWS;
  api = tried;
  who.textContent = me.tenant ? me.tenant.name : "Operator";
  who.title = who.textContent;
  fill(nav, Object.keys(views).map((name) => h("a", { href: `#/${name}` }, NAMES[name])));
  nav.classList.toggle("many", nav.children.length > 5);
  nav.hidden = signOut.hidden = false;
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

window.addEventListener("hashchange", () => {
  route();
  if (api) main.focus({ preventScroll: true });
});
window.addEventListener("offline", () => notify("This device is offline. What you see stays; changes will not be sent."));
window.addEventListener("online", () => notify("This device is online again."));
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address belongs to the views
  main.focus();
});
signOut.addEventListener("click", () => leave(null));
begin();
