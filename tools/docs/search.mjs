// Search over the pieces of all pages: the same for the browser and for the test.
import MiniSearch from "minisearch";

/** @returns a function from words to what is found, the best first. */
export function searchOf(pieces) {
  const index = new MiniSearch({
    fields: ["title", "page", "text"],
    idField: "at",
    searchOptions: {
      boost: { title: 4, page: 2 },
      prefix: true,
      fuzzy: (term) => (term.length > 4 ? 0.2 : false),
      combineWith: "AND",
    },
  });
  const byPlace = new Map(pieces.map((piece) => [piece.at, piece]));
  index.addAll([...byPlace.values()]);
  return (words) =>
    index.search(words).map(({ id, terms }) => {
      const piece = byPlace.get(id);
      return { ...piece, excerpt: excerpt(piece.text, terms) };
    });
}

/** Characters of an excerpt. */
const LONGEST = 180;

/** Some words around the first place where one of the terms stands. */
function excerpt(text, terms) {
  const low = text.toLowerCase();
  const places = terms.map((term) => low.indexOf(term)).filter((at) => at >= 0);
  const from = Math.max(0, (places.length === 0 ? 0 : Math.min(...places)) - 60);
  const start = from === 0 ? 0 : text.indexOf(" ", from) + 1;
  const rest = text.slice(start);
  if (rest.length <= LONGEST) return `${start > 0 ? "… " : ""}${rest.trim()}`;
  return `${start > 0 ? "… " : ""}${rest.slice(0, rest.lastIndexOf(" ", LONGEST)).trim()} …`;
}
