public import ServiceLifecycle

/// The bus as a service of a program: put it before the services that use it, so that it is shut down after them.
///
/// When it is asked to shut down gracefully it takes no more events, lets running handlers finish, waits for the PubAcks
/// under way, and closes its connections.
extension EventBus: Service {}
