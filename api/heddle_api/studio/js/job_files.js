// What a job leaves to take home or to read: an export's archive, straight from the object store, and a sweep's report.
import { Problem } from "./api.js";
import { h, notify, save } from "./dom.js";
import { openPage } from "./page_dialog.js";
import { sha256Of } from "./sha256.js";
import { bytes } from "./words.js";

/** A button that fetches an export's archive, holds it against its digest and saves it. */
export function archiveButton(api, job) {
  const { filename, bytes: size } = job.result.archive;
  const button = h("button", { type: "button", "aria-label": `Download ${filename}, ${bytes(size)}` }, `Download, ${bytes(size)}`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const found = await api.get(`/v1/jobs/${job.id}/export`);
      save(await archiveAt(found), found.filename);
      notify(`${found.filename} is whole and saved.`);
    } catch (error) {
      notify(error.message);
    }
    button.disabled = false;
  });
  return button;
}

/** A button that opens a sweep's report. */
export function reportButton(api, job) {
  const open = () => openPage({
    title: `Report of sweep ${job.result.name}`, filename: `${job.result.name}-report.html`,
    load: () => api.getPage(`/v1/jobs/${job.id}/report`),
  });
  return h("button", { type: "button", onclick: open }, "Report");
}

async function archiveAt({ url, filename, sha256 }) {
  const again = `${filename} did not arrive; check the connection and download it again.`;
  let blob;
  try {
    const answer = await fetch(url, { cache: "no-store" });  // signed: the key stays here
    if (!answer.ok) throw new Problem(answer.status, null, `The object store answered ${answer.status}; download ${filename} again.`);
    blob = await answer.blob();
  } catch (error) {
    throw error instanceof Problem ? error : new Problem(0, null, again);
  }
  if (await sha256Of(blob) !== sha256) throw new Problem(0, null, `${filename} arrived damaged and was not saved; download it again.`);
  return blob;
}
