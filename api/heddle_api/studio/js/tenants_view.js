// Tenants, for operators: who is here, who is suspended, and a new one with its first key.
import { alertOf } from "./alert.js";
import { askFor, field } from "./ask_dialog.js";
import { fill, h, notify } from "./dom.js";
import { showSecret } from "./secret_dialog.js";
import { counted, moment, status } from "./words.js";

const MOST = 1000;

/** The view. */
export function tenantsView(api) {
  const search = h("input", { id: "tenant-search", type: "search", placeholder: "Name or id", "aria-label": "Find a tenant" });
  const said = h("p", { class: "small muted", "aria-live": "polite" });
  const body = h("div", {}, h("p", { class: "muted" }, "Loading tenants …"));
  let all = [];
  const show = () => {
    const wanted = search.value.trim().toLowerCase();
    const found = all.filter(({ id, name }) => `${id} ${name}`.toLowerCase().includes(wanted));
    said.textContent = wanted ? `${counted(found.length, "tenant")} of ${all.length}.` : `${counted(all.length, "tenant")}.`;
    fill(body, all.length ? h("section", { class: "panel", "aria-label": "Tenants" }, table(api, found, load)) : nothing());
  };
  const load = async () => {
    try {
      all = await api.list("/v1/admin/tenants", MOST);
      show();
    } catch (error) {
      fill(body, alertOf(error), h("p", {}, h("button", { type: "button", onclick: load }, "Try again")));
    }
  };
  search.addEventListener("input", show);
  const element = h("section", { class: "view" },
    h("header", {},
      h("div", {}, h("h1", {}, "Tenants"), h("p", { class: "lead" }, "Each tenant sees its own and nothing else. Suspending one stops its keys at once; its data stays.")),
      h("div", { class: "row" }, search, h("button", { type: "button", class: "primary", onclick: () => askTenant(api, load) }, "New tenant"))),
    said, body);
  return { element, title: "Tenants", start: load, stop() {} };
}

function table(api, tenants, reload) {
  return h("div", { class: "table-frame" }, h("table", { class: "table" },
    h("thead", {}, h("tr", {}, ["Name", ""].map((name) => h("th", { scope: "col" }, name || h("span", { class: "visually-hidden" }, "Actions"))))),
    h("tbody", {}, tenants.map((tenant) => {
      const [words, tone] = status(tenant.status);
      const wanted = tenant.status === "active" ? "suspended" : "active";
      return h("tr", {},
        h("th", { scope: "row" }, h("div", { class: "row" }, h("a", { href: `#/tenants/${tenant.id}` }, tenant.name), h("span", { class: `badge ${tone}` }, words)), h("div", { class: "small muted id" }, `since ${moment(tenant.created_at)}`), h("div", { class: "small muted id wide-only" }, tenant.id)),
        h("td", { class: "number" }, h("button", {
          type: "button", "aria-label": `${wanted === "active" ? "Reactivate" : "Suspend"} ${tenant.name}`,
          onclick: () => askChange(api, tenant, wanted, reload),
        }, wanted === "active" ? "Reactivate" : "Suspend")));
    }))));
}

function askChange(api, tenant, wanted, reload) {
  const suspending = wanted === "suspended";
  askFor({
    title: `${suspending ? "Suspend" : "Reactivate"} ${tenant.name}?`, verb: suspending ? "Suspend" : "Reactivate", danger: suspending,
    say: suspending ? "Its keys are refused at once, its edits and uploads stop. Nothing is deleted." : "Its keys work again at once.",
    work: () => api.patch(`/v1/admin/tenants/${tenant.id}`, { status: wanted }),
    onDone: () => {
      notify(`${tenant.name} is ${wanted}.`);
      reload();
    },
  });
}

function askTenant(api, reload) {
  const name = h("input", { id: "tenant-name", type: "text", required: true, maxlength: 200 });
  askFor({
    title: "New tenant", verb: "Create", fields: [field("Name", name)],
    work: () => api.post("/v1/admin/tenants", { name: name.value.trim() }),
    onDone: (made) => {
      showSecret({ title: `The key of ${made.name}`, label: "API key", secret: made.api_key, say: "Hand it over now: it is shown this once and stored nowhere." });
      reload();
    },
  });
}

function nothing() {
  return h("div", { class: "empty" }, h("h2", {}, "No tenant yet"), h("p", {}, "Create one above and hand its key over; it can sign in here with it."));
}
