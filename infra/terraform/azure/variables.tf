variable "name" {
  description = "Of the resource group, and the beginning of other names."
  type        = string
  default     = "headwater"
}

variable "location" {
  type    = string
  default = "westeurope"
}

variable "storage_account" {
  description = "Globally unique: 3 to 24 lower-case letters and digits."
  type        = string
}

variable "replication" {
  description = "ZRS outlives a data centre, GZRS a region as well."
  type        = string
  default     = "ZRS"
}

variable "geo_redundant" {
  description = "Whether backups of the catalog are kept in the paired region, too. It cannot be changed later."
  type        = bool
  default     = true
}

variable "catalog_sku" {
  type    = string
  default = "GP_Standard_D2ds_v5"
}

variable "catalog_subnet" {
  description = "A subnet that is delegated to Microsoft.DBforPostgreSQL/flexibleServers."
  type        = string
}

variable "catalog_dns_zone" {
  description = "A private zone whose name ends in .postgres.database.azure.com, linked to the network of the cluster."
  type        = string
}

variable "zone" {
  description = "The public DNS zone, e.g. example.com."
  type        = string
}

variable "zone_resource_group" {
  type = string
}

variable "host" {
  description = "The installation's name in that zone."
  type        = string
  default     = "video"
}

variable "origin_host" {
  description = "Where the cluster's ingress answers with a certificate that Front Door trusts."
  type        = string
}

variable "events" {
  description = "Whether to subscribe to storage events: Headwater has to answer already."
  type        = bool
  default     = true
}
