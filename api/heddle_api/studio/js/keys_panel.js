// API keys: who may do what; made with a secret that is shown once, rotated, revoked.
import { askFor, field, tickBoxes } from "./ask_dialog.js";
import { h, notify } from "./dom.js";
import { empty, loaded } from "./loaded.js";
import { showSecret } from "./secret_dialog.js";
import { session } from "./session.js";
import { moment } from "./words.js";

const DAY_MS = 86_400_000;
const LASTING = [["", "Never"], ["30", "In 30 days"], ["90", "In 90 days"], ["365", "In a year"]];
const OVERLAPS = [["86400", "For another day"], ["3600", "For another hour"], ["0", "Not at all: it has leaked"]];

/** @param {import("./api.js").Api} api */
export function keysPanel(api) {
  const panel = loaded("Loading keys …", async () => {
    const [me, keys] = await Promise.all([api.get("/v1/me"), api.list("/v1/api_keys")]);
    const [working, over] = [keys.filter(works), keys.filter((key) => !works(key))];
    return [
      ...working.map((key) => article(api, key, key.id === me.key.id, panel.load)),
      !working.length && empty("No key works any more", "Make one above; this page goes on with the one you signed in with."),
      over.length > 0 && h("details", {}, h("summary", {}, `Revoked and expired (${over.length})`),
        h("div", { class: "stack" }, over.map((key) => article(api, key, false, panel.load)))),
    ];
  });
  const actions = [h("button", { type: "button", class: "primary", onclick: () => askNew(api, panel.load) }, "New key")];
  return { ...panel, actions };
}

function works(key) {
  return !key.revoked_at && !(key.expires_at && new Date(key.expires_at) < new Date());
}

function article(api, key, own, reload) {
  const there = works(key);
  const told = [
    `made ${moment(key.created_at)}`, key.rotated_at && `rotated ${moment(key.rotated_at)}`,
    key.revoked_at ? `revoked ${moment(key.revoked_at)}` : key.expires_at && `${there ? "expires" : "expired"} ${moment(key.expires_at)}`,
    there && key.previous_ends_at && `its old secret works until ${moment(key.previous_ends_at)}`,
  ];
  const label = key.name || key.id;
  return h("article", { class: "panel labelled-set", "aria-label": `Key ${label}` },
    h("div", { class: "stack tight" },
      h("div", { class: "row" }, h("h2", {}, label), own && h("span", { class: "badge live" }, "the one you use"),
        !there && h("span", { class: "badge" }, key.revoked_at ? "revoked" : "expired")),
      h("ul", { class: "chips", "aria-label": "Scopes" }, key.scopes.map((scope) => h("li", { class: "badge" }, scope))),
      h("p", { class: "small muted" }, told.filter(Boolean).join(" · "), h("span", { class: "block id" }, key.id))),
    there && h("div", { class: "row" },
      h("button", { type: "button", "aria-label": `Rotate ${label}`, onclick: () => askRotate(api, key, own, reload) }, "Rotate"),
      h("button", { type: "button", class: "danger", "aria-label": `Revoke ${label}`, onclick: () => askRevoke(api, key, own, reload) }, "Revoke")));
}

function askNew(api, reload) {
  const name = h("input", { id: "key-name", type: "text", required: true, maxlength: 200, placeholder: "shop front" });
  const lasting = h("select", { id: "key-lasting" }, LASTING.map(([value, words]) => h("option", { value }, words)));
  const scopes = tickBoxes("What it may do", api.scopes.map((scope) => [scope, scope]), api.operator ? api.scopes : ["edits", "feedback"]);
  askFor({
    title: "New key", verb: "Make the key",
    say: "An app that only edits needs edits and feedback.",
    fields: [field("Where it is used", name), scopes.element, field("It stops working", lasting)],
    work: async () => {
      if (!scopes.ticked().length) throw new Error("Tick at least one scope: a key without any can do nothing");
      const ends = lasting.value ? { expires_at: new Date(Date.now() + Number(lasting.value) * DAY_MS).toISOString() } : {};
      return api.post("/v1/api_keys", { name: name.value.trim(), scopes: scopes.ticked(), ...ends });
    },
    onDone: (made) => {
      showSecret({ title: `The key ${made.name}`, label: "API key", secret: made.api_key });
      reload();
    },
  });
}

function askRotate(api, key, own, reload) {
  const overlap = h("select", { id: "key-overlap" }, OVERLAPS.map(([value, words]) => h("option", { value }, words)));
  askFor({
    title: `Rotate ${key.name || key.id}?`, verb: "Rotate",
    say: `It gets a new secret with the same scopes.${own ? " This page goes on with the new one." : ""}`,
    fields: [field("The old secret goes on working", overlap)],
    work: () => api.post(`/v1/api_keys/${key.id}/rotate`, { overlap_seconds: Number(overlap.value) }),
    onDone: (made) => {
      if (own) {
        api.key = made.api_key;
        session.open(made.api_key);
      }
      showSecret({ title: `The new secret of ${made.name || made.id}`, label: "API key", secret: made.api_key });
      reload();
    },
  });
}

function askRevoke(api, key, own, reload) {
  askFor({
    title: `Revoke ${key.name || key.id}?`, verb: "Revoke", danger: true,
    say: own ? "You are signed in with this very key: you are signed out at once, and need another one to come back." : "Whatever uses it is refused at once, at the edge within a second. It cannot be brought back.",
    work: () => api.remove(`/v1/api_keys/${key.id}`),
    onDone: () => {
      notify(`${key.name || key.id} is revoked.`);
      reload();
    },
  });
}
