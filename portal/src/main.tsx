/** The portal: whatever a person may do with Headwater, through its public API and nothing else. */

import { render } from "preact";
import { Portal } from "./app/portal";
import { startRouter } from "./app/router";

// The token in the fragment is taken by `session` when it is first read, before the router looks at the address.
startRouter();
render(<Portal />, document.querySelector("#portal")!);
