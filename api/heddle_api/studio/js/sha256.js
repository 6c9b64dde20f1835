// SHA-256 piece by piece, so that a file larger than memory can be hashed while its progress is shown.
// The browser's own needs the whole file at once, and is missing where the page is not served from https or loopback.

const ROUND = constants(64, 3);
const START = constants(8, 2);

/** FIPS 180-4. `update` takes pieces of any length, `hex` ends it. */
export class Sha256 {
  constructor() {
    this.state = Int32Array.from(START);
    this.block = new Uint8Array(64);
    this.filled = 0;
    this.bytes = 0;
    this.schedule = new Int32Array(64);
  }

  /** @param {Uint8Array} piece */
  update(piece) {
    this.bytes += piece.length;
    let place = 0;
    while (place < piece.length) {
      const taken = Math.min(64 - this.filled, piece.length - place);
      this.block.set(piece.subarray(place, place + taken), this.filled);
      this.filled += taken;
      place += taken;
      if (this.filled === 64) {
        this.#mix();
        this.filled = 0;
      }
    }
    return this;
  }

  /** @returns {string} 64 hexadecimal digits */
  hex() {
    const bits = this.bytes * 8;
    const padding = new Uint8Array(this.filled < 56 ? 64 - this.filled : 128 - this.filled);
    padding[0] = 0x80;
    const view = new DataView(padding.buffer);
    view.setUint32(padding.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(padding.length - 4, bits >>> 0);
    this.update(padding);
    return Array.from(this.state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #mix() {
    const { schedule, block, state } = this;
    for (let i = 0; i < 16; i++) {
      schedule[i] = (block[4 * i] << 24) | (block[4 * i + 1] << 16) | (block[4 * i + 2] << 8) | block[4 * i + 3];
    }
    for (let i = 16; i < 64; i++) {
      const early = schedule[i - 15];
      const late = schedule[i - 2];
      const small = turn(early, 7) ^ turn(early, 18) ^ (early >>> 3);
      const large = turn(late, 17) ^ turn(late, 19) ^ (late >>> 10);
      schedule[i] = (schedule[i - 16] + small + schedule[i - 7] + large) | 0;
    }
    let [a, b, c, d, e, f, g, last] = state;
    for (let i = 0; i < 64; i++) {
      const choice = (e & f) ^ (~e & g);
      const first = (last + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + choice + ROUND[i] + schedule[i]) | 0;
      const majority = (a & b) ^ (a & c) ^ (b & c);
      const second = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + majority) | 0;
      [last, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
    }
    [a, b, c, d, e, f, g, last].forEach((word, i) => {
      state[i] = (state[i] + word) | 0;
    });
  }
}

/**
 * Hash a file, telling the share done; the page stays alive meanwhile.
 * @param {Blob} file
 * @param {(share: number) => void} [tell]
 */
export async function sha256Of(file, tell = () => {}) {
  const hash = new Sha256();
  const reader = file.stream().getReader();
  let done = 0;
  for (;;) {
    const { value, done: ended } = await reader.read();
    if (ended) return hash.hex();
    hash.update(value);
    done += value.length;
    tell(done / file.size);
  }
}

function turn(word, by) {
  return (word >>> by) | (word << (32 - by));
}

/** The first 32 bits behind the point of the square (2) or cube (3) roots of the first primes. */
function constants(count, root) {
  const found = [];
  for (let number = 2; found.length < count; number++) {
    if (Array.from({ length: number - 2 }, (_, i) => i + 2).some((factor) => number % factor === 0)) continue;
    const whole = root === 2 ? Math.sqrt(number) : Math.cbrt(number);
    found.push(((whole - Math.floor(whole)) * 2 ** 32) | 0);
  }
  return found;
}
