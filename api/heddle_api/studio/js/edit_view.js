// The edit view: choose an adapter and a picture, move its factors, and see what happens.
import { alertOf } from "./alert.js";
import { fill, h } from "./dom.js";
import { editBench } from "./edit_bench.js";
import { status } from "./words.js";

const SERVABLE = ["passed", "approved"];

/** The view; the address may name an adapter and a version: #/edit/avatars/3. */
export function editView(api, [wantedAdapter, wantedVersion]) {
  const content = h("div", {}, h("p", { class: "muted" }, "Loading adapters …"));
  const choice = h("div", { class: "choice" });
  const versionField = h("div", { class: "field" });
  const adapterSelect = h("select", { id: "adapter" });
  const versionSelect = h("select", { id: "version" });
  let bench = null;
  let versions = [];
  let choices = 0;

  const openBench = async (current) => {
    const reference = `${adapterSelect.value}@${versionSelect.value}`;
    const number = Number(versionSelect.selectedOptions[0].dataset.version);
    const version = versions.find((each) => each.version === number);
    const { id, version: factorsVersion } = version.factor_set;
    const factorSet = await api.get(`/v1/factor_sets/${id}/versions/${factorsVersion}`);
    if (!current()) return;
    const picture = bench?.editor.original;
    bench?.stop();
    bench = editBench(api, reference, factorSet.document.factors, version);
    fill(content, bench.element);
    if (picture) bench.open(picture);
  };
  const openAdapter = async (current) => {
    const found = await api.list(`/v1/adapters/${adapterSelect.value}/versions`);
    if (!current()) return;
    versions = found;
    const options = versionOptions(versions);
    fill(versionSelect, options);
    versionField.hidden = !options.length;
    if (!options.length) return fill(content, notServable(adapterSelect.value));
    const wanted = options.find((option) => option.value === wantedVersion);
    if (wanted) wanted.selected = true;
    await openBench(current);
  };
  // who chooses again does not wait: what is answered for an earlier choice is dropped, its failure too
  const chosen = (work) => async () => {
    const mine = ++choices;
    const current = () => mine === choices;
    try {
      await work(current);
    } catch (error) {
      if (current()) fill(content, alertOf(error));
    }
  };

  const start = chosen(async (current) => {
    const adapters = await api.list("/v1/adapters");
    if (!current()) return;
    if (!adapters.length) return fill(content, nothing());
    fill(adapterSelect, adapters.map(({ name }) => h("option", { value: name, selected: name === wantedAdapter }, name)));
    fill(versionField, h("label", { for: "version" }, "Version"), versionSelect);
    fill(choice, h("div", { class: "field" }, h("label", { for: "adapter" }, "Adapter"), adapterSelect), versionField);
    await openAdapter(current);
  });
  adapterSelect.addEventListener("change", chosen(openAdapter));
  versionSelect.addEventListener("change", chosen(openBench));

  const element = h("section", { class: "view" },
    h("header", {},
      h("div", {}, h("h1", {}, "Edit"), h("p", { class: "lead" }, "Drop a picture, move a factor, and watch what changes and what stays.")),
      choice),
    content);
  const stop = () => {
    choices += 1;
    bench?.stop();
  };
  return { element, title: "Edit", start, stop };
}

function versionOptions(versions) {
  const servable = versions.filter((version) => SERVABLE.includes(version.status));
  const aliased = servable.flatMap((version) => version.aliases.map((alias) => [alias, version]));
  aliased.sort(([one], [other]) => (other === "production") - (one === "production") || one.localeCompare(other));
  const option = (value, version, words) => h("option", { value, "data-version": version.version }, words);
  return [
    ...aliased.map(([alias, version]) => option(alias, version, `${alias} (version ${version.version})`)),
    ...servable.map((version) => option(String(version.version), version, `version ${version.version}, ${status(version.status)[0]}`)),
  ];
}

function nothing() {
  return h("div", { class: "empty" },
    h("h2", {}, "Nothing to edit with yet"),
    h("p", {}, "An adapter turns your factors into controls. Upload labelled images and queue a fit; it takes seconds."),
    h("div", { class: "row" }, h("a", { class: "button", href: "#/data" }, "Go to your data")),
    h("pre", {}, "heddle factors register factors.yaml\nheddle data upload images/ --factors avatars\nheddle fit avatars --data images"));
}

function notServable(name) {
  return h("div", { class: "empty" },
    h("h2", {}, `No version of ${name} can be served yet`),
    h("p", {}, "Its versions wait for a decision or were refused. ", h("a", { href: "#/adapters" }, "Look at them and decide"), "."));
}
