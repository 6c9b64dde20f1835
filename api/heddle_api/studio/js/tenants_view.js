// Tenants, for operators: who is here, who is suspended, and a new one with its first key.
import { alertOf } from "./alert.js";
import { openDialog } from "./dialog.js";
import { fill, h, notify } from "./dom.js";
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
    h("thead", {}, h("tr", {}, ["Name", "Status", ""].map((name) => h("th", { scope: "col" }, name || h("span", { class: "visually-hidden" }, "Actions"))))),
    h("tbody", {}, tenants.map((tenant) => {
      const [words, tone] = status(tenant.status);
      const wanted = tenant.status === "active" ? "suspended" : "active";
      return h("tr", {},
        h("th", { scope: "row" }, tenant.name, h("div", { class: "small muted id" }, `since ${moment(tenant.created_at)}`), h("div", { class: "small muted id" }, tenant.id)),
        h("td", {}, h("span", { class: `badge ${tone}` }, words)),
        h("td", { class: "number" }, h("button", {
          type: "button", "aria-label": `${wanted === "active" ? "Reactivate" : "Suspend"} ${tenant.name}`,
          onclick: () => askChange(api, tenant, wanted, reload),
        }, wanted === "active" ? "Reactivate" : "Suspend")));
    }))));
}

function askChange(api, tenant, wanted, reload) {
  const trouble = h("div");
  const suspending = wanted === "suspended";
  const onsubmit = async () => {
    try {
      await api.patch(`/v1/admin/tenants/${tenant.id}`, { status: wanted });
      dialog.close();
      notify(`${tenant.name} is ${wanted}.`);
      reload();
    } catch (error) {
      fill(trouble, alertOf(error));
    }
  };
  const dialog = openDialog(`${suspending ? "Suspend" : "Reactivate"} ${tenant.name}?`, (close) => [
    h("p", { class: "muted" }, suspending
      ? "Its keys are refused at once, its edits and uploads stop. Nothing is deleted."
      : "Its keys work again at once."),
    trouble,
    h("div", { class: "row" },
      h("button", { type: "submit", class: suspending ? "primary danger" : "primary" }, suspending ? "Suspend" : "Reactivate"),
      h("button", { type: "button", onclick: close }, "Cancel")),
  ], { onsubmit });
}

function askTenant(api, reload) {
  const name = h("input", { id: "tenant-name", type: "text", required: true, maxlength: 200 });
  const trouble = h("div");
  const onsubmit = async () => {
    try {
      const made = await api.post("/v1/admin/tenants", { name: name.value.trim() });
      dialog.close();
      showKey(made);
      reload();
    } catch (error) {
      fill(trouble, alertOf(error));
    }
  };
  const dialog = openDialog("New tenant", (close) => [
    h("div", { class: "field" }, h("label", { for: "tenant-name" }, "Name"), name),
    trouble,
    h("div", { class: "row" }, h("button", { type: "submit", class: "primary" }, "Create"), h("button", { type: "button", onclick: close }, "Cancel")),
  ], { onsubmit });
}

function showKey(made) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(made.api_key);
      notify("Copied.");
    } catch {
      notify("The browser does not allow copying; select the key and copy it.");
    }
  };
  openDialog(`The key of ${made.name}`, (close) => [
    h("p", {}, "Hand it over now: it is shown this once and stored nowhere."),
    h("pre", { tabindex: 0, "aria-label": "API key" }, made.api_key),
    h("div", { class: "row" },
      h("button", { type: "button", class: "primary", onclick: copy }, "Copy"),
      h("button", { type: "button", onclick: close }, "I have it")),
  ]);
}

function nothing() {
  return h("div", { class: "empty" }, h("h2", {}, "No tenant yet"), h("p", {}, "Create one above and hand its key over; it can sign in here with it."));
}
