# What goes into the Secret of infra/helm and its values.

output "storage_url" {
  value = trimsuffix(azurerm_storage_account.media.primary_blob_endpoint, "/")
}

output "storage_key" {
  value     = azurerm_storage_account.media.primary_access_key
  sensitive = true
}

output "catalog" {
  value     = "postgres://headwater:${random_password.catalog.result}@${azurerm_postgresql_flexible_server.catalog.fqdn}/headwater?sslmode=require"
  sensitive = true
}

output "event_secret" {
  value     = random_password.event_secret.result
  sensitive = true
}
