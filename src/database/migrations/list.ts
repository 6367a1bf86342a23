/** All migrations, oldest first. A list, not a folder scan: `dist` and the tests load the same. */
import { Tables } from "./0001-tables.js";
import { Reading } from "./0003-reading.js";
import { Audit } from "./0004-audit.js";
import { Steering } from "./0005-steering.js";
import { Manifests } from "./0007-manifests.js";
import { Parity } from "./0008-parity.js";
import { Terms } from "./0009-terms.js";
import { Scrub } from "./0010-scrub.js";
import { Signposts } from "./0011-signposts.js";
import { MovedChunks } from "./0012-moved-chunks.js";

export const MIGRATIONS = [
  { name: "0001-tables", class: Tables },
  { name: "0003-reading", class: Reading },
  { name: "0004-audit", class: Audit },
  { name: "0005-steering", class: Steering },
  { name: "0007-manifests", class: Manifests },
  { name: "0008-parity", class: Parity },
  { name: "0009-terms", class: Terms },
  { name: "0010-scrub", class: Scrub },
  { name: "0011-signposts", class: Signposts },
  { name: "0012-moved-chunks", class: MovedChunks },
];
