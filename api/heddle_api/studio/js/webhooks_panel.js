// Webhooks: addresses that are told of events, what was sent to them, and sending it again.
import { askFor, field, tickBoxes } from "./ask_dialog.js";
import { deliveries } from "./deliveries.js";
import { h, notify } from "./dom.js";
import { empty, loaded } from "./loaded.js";
import { showSecret } from "./secret_dialog.js";
import { moment, plain, status } from "./words.js";

const EVENTS = [
  "job.succeeded", "job.failed", "job.awaiting_approval", "job.cancelled", "dataset.ready", "dataset.rejected", "adapter.alias_moved",
  "erasure.completed", "adapter.drifted",
];
const PATH = "/v1/webhook_endpoints";

/** @param {import("./api.js").Api} api */
export function webhooksPanel(api) {
  const panel = loaded("Loading endpoints …", async () => {
    const found = await api.list(PATH);
    return found.length ? found.map((endpoint) => article(api, endpoint, panel.load)) : [empty("Nobody is told yet",
      "Add an address of yours: it gets a signed POST when a job ends or a labelled set was checked, so that nothing has to ask again and again.")];
  });
  const actions = [h("button", { type: "button", class: "primary", onclick: () => askNew(api, panel.load) }, "Add an endpoint")];
  return { ...panel, actions };
}

function article(api, endpoint, reload) {
  const [words, tone] = status(endpoint.status);
  const enabled = endpoint.status === "enabled";
  const path = `${PATH}/${endpoint.id}`;
  const change = async (body, said) => {
    try {
      const [, tag] = await api.getTagged(path);
      await api.patch(path, body, tag);
      notify(said);
    } catch (error) {
      notify(error.message);
    }
    reload();
  };
  const told = [
    endpoint.description, `since ${moment(endpoint.created_at)}`,
    endpoint.previous_secret_until && `signed with the old secret, too, until ${moment(endpoint.previous_secret_until)}`,
  ];
  return h("article", { class: "panel", "aria-label": `Endpoint ${endpoint.url}` },
    h("div", { class: "row spread" },
      h("div", { class: "row" }, h("h2", { class: "address" }, endpoint.url), h("span", { class: `badge ${tone}` }, words)),
      h("div", { class: "row" },
        h("button", { type: "button", onclick: () => (enabled ? change({ status: "disabled" }, "Nothing more is sent there.") : change({ status: "enabled" }, "It is told of events again.")) }, enabled ? "Disable" : "Enable"),
        h("button", { type: "button", onclick: () => askRotate(api, endpoint, reload) }, "New secret"),
        h("button", { type: "button", class: "danger", onclick: () => askDelete(api, endpoint, reload) }, "Delete"))),
    h("ul", { class: "chips", "aria-label": "Events" }, endpoint.events.length === EVENTS.length ? h("li", { class: "badge" }, "every event") : endpoint.events.map((event) => h("li", { class: "badge" }, plain(event)))),
    h("p", { class: "small muted" }, told.filter(Boolean).join(" · ")),
    endpoint.disabled_reason && h("p", { class: "alert warn" }, `Disabled: ${endpoint.disabled_reason}.`),
    enabled && endpoint.failing_since && h("p", { class: "alert warn" }, `It has taken nothing since ${moment(endpoint.failing_since)}. After five days it is disabled.`),
    deliveries(api, endpoint));
}

function askNew(api, reload) {
  const url = h("input", { id: "hook-url", type: "text", inputmode: "url", required: true, maxlength: 2000, placeholder: "https://…" });
  const note = h("input", { id: "hook-note", type: "text", maxlength: 200 });
  const events = tickBoxes("It is told of", EVENTS.map((event) => [event, plain(event)]), EVENTS);
  askFor({
    title: "Add an endpoint", verb: "Add", say: "Public, and over https. Every POST is signed; the secret to check it with is shown once.",
    fields: [field("Address", url), events.element, field("Note (optional)", note)],
    work: async () => {
      if (!events.ticked().length) throw new Error("Tick at least one event");
      return api.post(PATH, { url: url.value.trim(), events: events.ticked(), description: note.value.trim() });
    },
    onDone: (made) => {
      showSecret({ title: "The endpoint's secret", label: "Signing secret", secret: made.secret });
      reload();
    },
  });
}

function askRotate(api, endpoint, reload) {
  askFor({
    title: "A new secret?", verb: "Make a new secret", say: "For a day every POST carries two signatures, with the old secret and the new one.",
    work: () => api.post(`${PATH}/${endpoint.id}/rotate`),
    onDone: (made) => {
      showSecret({ title: "The endpoint's new secret", label: "Signing secret", secret: made.secret });
      reload();
    },
  });
}

function askDelete(api, endpoint, reload) {
  const path = `${PATH}/${endpoint.id}`;
  askFor({
    title: "Delete this endpoint?", verb: "Delete", danger: true, say: `${endpoint.url} is told nothing more; what was sent to it is forgotten.`,
    work: async () => {
      const [, tag] = await api.getTagged(path);
      await api.remove(path, tag);
    },
    onDone: () => {
      notify("The endpoint is deleted.");
      reload();
    },
  });
}
