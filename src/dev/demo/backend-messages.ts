/** What the demo tells a backend. */
export type BackendOrder =
  /** Answer every request with this status. */
  | { readonly order: "answer"; readonly status: number }
  /** Leave the catalog, serve on. */
  | { readonly order: "leave" }
  /** Finish what is open and end. */
  | { readonly order: "end" };

/** What a backend tells the demo. */
export type BackendNews =
  | { readonly news: "registered"; readonly port: number; readonly again: boolean }
  | { readonly news: "first-request"; readonly afterRegistrationMs: number }
  | { readonly news: "left" }
  | { readonly news: "failed"; readonly reason: string };
