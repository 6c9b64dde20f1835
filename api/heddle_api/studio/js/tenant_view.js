// One tenant, for operators: what it uses of its limits, its usage by the hour, and other limits for it.
import { askFor, field } from "./ask_dialog.js";
import { alertOf } from "./alert.js";
import { fill, h, notify } from "./dom.js";
import { usagePanel } from "./usage_panel.js";
import { bytes, moment, status } from "./words.js";

const FIELDS = [
  ["requests_per_second", "Requests a second", "any"], ["burst", "Requests at once after a pause", 1], ["images", "Images", 1], ["bytes", "Bytes stored", 1],
  ["labelled_rows", "Labelled rows", 1], ["adapters", "Adapters", 1], ["running_jobs", "Jobs running", 1], ["queued_jobs", "Jobs waiting", 1], ["weight", "Weight in the queue", "any"],
];

/** The view at #/tenants/<id>. */
export function tenantView(api, [id]) {
  const path = `/v1/admin/tenants/${encodeURIComponent(id)}`;
  const head = h("div", {}, crumb(), h("h1", {}, "Tenant"));
  const panel = usagePanel(api, `${path}/quota`, `${path}/usage`, () =>
    h("button", { type: "button", onclick: () => askLimits(api, `${path}/quota`, panel.load) }, "Set limits"));
  const start = async () => {
    panel.load();
    try {
      const tenant = await api.get(path);
      const [words, tone] = status(tenant.status);
      fill(head, crumb(), h("div", { class: "row" }, h("h1", {}, tenant.name), h("span", { class: `badge ${tone}` }, words)),
        h("p", { class: "lead small id" }, `${tenant.id} · since ${moment(tenant.created_at)}`));
    } catch (error) {
      fill(head, crumb(), h("h1", {}, "Tenant"), alertOf(error));
    }
  };
  const element = h("section", { class: "view" }, h("header", {}, head), panel.element);
  return { element, title: "Tenant", start, stop: panel.stop };
}

function crumb() {
  return h("p", { class: "crumb" }, h("a", { href: "#/tenants" }, "Tenants"));
}

async function askLimits(api, path, reload) {
  let quota;
  let tag;
  try {
    [quota, tag] = await api.getTagged(path);
  } catch (error) {
    return notify(error.message);
  }
  const inputs = FIELDS.map(([name, , step]) => h("input", {
    id: `limit-${name}`, type: "number", min: 0, step, value: quota.own.includes(name) ? quota.limits[name] : "",
    placeholder: quota.own.includes(name) ? "the default" : quota.limits[name] === null ? "no limit" : name === "bytes" ? bytes(quota.limits.bytes) : quota.limits[name].toLocaleString("en"),
  }));
  askFor({
    title: "Limits of this tenant", verb: "Set", wide: true,
    say: "An empty field is the platform's default. A lower limit takes nothing away; it refuses more.",
    fields: [h("div", { class: "two" }, FIELDS.map(([, words], place) => field(words, inputs[place])))],
    work: () => {
      const wanted = Object.fromEntries(FIELDS.map(([name], place) => [name, inputs[place].value === "" ? null : Number(inputs[place].value)]));
      return api.put(path, wanted, tag);
    },
    onDone: () => {
      notify("The limits are set; both planes know within a second.");
      reload();
    },
  });
}
