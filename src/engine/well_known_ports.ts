/** Ports below are bound by the system's services (RFC 6335). */
export const SYSTEM_PORTS = 1024;
