/** The page of `subflow web`: what runs in a browser, and the language in which the server tells it what to show. */

export * from "./picture.ts";
export * from "./texts.ts";
