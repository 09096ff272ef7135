// `npm run build`: compile and bundle, without looking at what is installed.
import { build } from "./setup.mjs";

build();
