// What differs between two pictures, drawn: darker or coloured where pixels changed, four times as strong.

const STRONGER = 4;
const VISIBLE = 24; // of 255, summed over the channels' largest
let turn = 0;

/**
 * @param {Blob} one @param {Blob} other
 * @param {HTMLCanvasElement} canvas
 * @returns {Promise<number|null>} share of pixels that differ visibly; null if a newer call took over
 */
export async function difference(one, other, canvas) {
  const mine = ++turn;
  const [before, after] = await Promise.all([one, other].map((blob) => createImageBitmap(blob)));
  if (mine !== turn) return null;
  [canvas.width, canvas.height] = [after.width, after.height];
  const [first, second] = [before, after].map((image) => pixels(image, after.width, after.height));
  const drawn = new ImageData(after.width, after.height);
  let differing = 0;
  for (let place = 0; place < first.data.length; place += 4) {
    let largest = 0;
    for (let channel = place; channel < place + 3; channel++) {
      const change = Math.abs(first.data[channel] - second.data[channel]);
      drawn.data[channel] = Math.min(255, STRONGER * change);
      largest = Math.max(largest, change);
    }
    drawn.data[place + 3] = 255;
    if (largest >= VISIBLE) differing += 1;
  }
  canvas.getContext("2d").putImageData(drawn, 0, 0);
  return differing / (first.data.length / 4);
}

function pixels(image, width, height) {
  const pen = new OffscreenCanvas(width, height).getContext("2d");
  pen.drawImage(image, 0, 0, width, height);
  return pen.getImageData(0, 0, width, height);
}
