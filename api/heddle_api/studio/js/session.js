// The session: one API key, kept in this tab only and forgotten with it.
const NAME = "heddle.key";

export const session = {
  key: () => sessionStorage.getItem(NAME),
  open: (key) => sessionStorage.setItem(NAME, key),
  close: () => sessionStorage.removeItem(NAME),
};
