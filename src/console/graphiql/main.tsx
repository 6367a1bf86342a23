/** GraphiQL over this server's own /graphql. Everything it needs is bundled: the page asks no other host for anything. */
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./page.css";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";
import { EXAMPLE_OPERATIONS, EXAMPLE_VARIABLES } from "./examples.js";
import { fetcher } from "./fetcher.js";
import { memoryStorage } from "./memory-storage.js";

const root = document.getElementById("root");
if (!root) throw new Error("the page has no #root");
createRoot(root).render(
  <GraphiQL
    fetcher={fetcher}
    storage={memoryStorage()}
    shouldPersistHeaders={false}
    showPersistHeadersSettings={false}
    initialQuery={EXAMPLE_OPERATIONS}
    initialVariables={EXAMPLE_VARIABLES}
    defaultEditorToolsVisibility="variables"
  />,
);
