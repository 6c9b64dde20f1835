// An edit as a curl command; the key stays a variable, so that the command can be shared.

/** @param {string} edgeUrl @param {object} edit @param {string} filename */
export function curlOf(edgeUrl, edit, filename) {
  return [
    `curl --fail-with-body -sS ${quoted(`${edgeUrl}/v1/edits`)}`,
    `-H "Authorization: Bearer $HEDDLE_API_KEY" -H "Accept: image/png"`,
    `-F ${quoted(`image=@"${filename.replace(/["\\]/g, "\\$&")}"`)}`,
    `-F ${quoted(`edit=${JSON.stringify(edit)}`)} -o edited.png`,
  ].join(" \\\n  ");
}

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
