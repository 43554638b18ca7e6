/// What bounds the memory of tenant metrics, in a gateway and in Redis.
public struct TenantBounds: Sendable, Equatable {
    /// Tenants that wait for a flush; the events of more are dropped and counted.
    public var tenants = 10_000
    /// Types that wait for a flush, for each tenant; the events of more are counted as of other types.
    public var typesPerTenant = 200
    /// Types that wait for a flush, over all tenants; the events of more are counted as of other types.
    public var types = 100_000
    /// Bytes of a type's name; events of a longer one are counted as of other types.
    public var typeBytes = 256
    /// Pairs of a tenant and a minute that wait for a flush; the events of more are missing in the series, and counted.
    public var minutes = 100_000
    /// Tenants in Redis; the events of more are dropped and counted.
    public var storedTenants = 100_000
    /// Types in Redis for each tenant; a new one takes the place of the smallest, whose count goes to the other types.
    public var storedTypesPerTenant = 100

    /// The defaults.
    public init() {}

    /// Bytes of a tenant's name; a longer one is no tenant.
    static let tenantBytes = 63
}
