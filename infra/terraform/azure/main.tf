# Headwater's surroundings on Azure: storage with its events, the catalog's PostgreSQL, names, and Front Door.
# Headwater itself runs on a cluster of yours: infra/helm.

terraform {
  required_version = ">= 1.6"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.0"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.6"
    }
  }
}

provider "azurerm" {
  features {}
}

resource "azurerm_resource_group" "headwater" {
  name     = var.name
  location = var.location
}

# ---- media ----

resource "azurerm_storage_account" "media" {
  name                            = var.storage_account
  resource_group_name             = azurerm_resource_group.headwater.name
  location                        = azurerm_resource_group.headwater.location
  account_tier                    = "Standard"
  account_replication_type        = var.replication
  min_tls_version                 = "TLS1_2"
  allow_nested_items_to_be_public = false

  blob_properties {
    # An asset that was deleted by mistake comes back from here.
    delete_retention_policy {
      days = 14
    }
    container_delete_retention_policy {
      days = 14
    }
    # Browsers upload with a signed URL.
    cors_rule {
      allowed_origins    = ["https://${var.host}.${var.zone}"]
      allowed_methods    = ["GET", "HEAD", "PUT"]
      allowed_headers    = ["*"]
      exposed_headers    = ["*"]
      max_age_in_seconds = 3600
    }
  }
}

# ---- events ----

resource "azurerm_eventgrid_system_topic" "media" {
  name                = "${var.name}-media"
  resource_group_name = azurerm_resource_group.headwater.name
  location            = azurerm_resource_group.headwater.location
  source_resource_id  = azurerm_storage_account.media.id
  topic_type          = "Microsoft.Storage.StorageAccounts"
}

resource "random_password" "event_secret" {
  length  = 48
  special = false
}

# Azure asks the endpoint for its validation code while this is made, so Headwater has to answer at var.host already, with
# HEADWATER_EVENT_SECRET: apply with -var events=false first.
resource "azurerm_eventgrid_system_topic_event_subscription" "headwater" {
  count                 = var.events ? 1 : 0
  name                  = "headwater"
  system_topic          = azurerm_eventgrid_system_topic.media.name
  resource_group_name   = azurerm_resource_group.headwater.name
  event_delivery_schema = "EventGridSchema"
  included_event_types  = ["Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"]

  webhook_endpoint {
    url                               = "https://${var.host}.${var.zone}/events/storage?code=${random_password.event_secret.result}"
    max_events_per_batch              = 100
    preferred_batch_size_in_kilobytes = 64
  }

  retry_policy {
    max_delivery_attempts = 30
    event_time_to_live    = 1440
  }

  # What was given up lies here; `headwater events replay` makes up for it.
  storage_blob_dead_letter_destination {
    storage_account_id          = azurerm_storage_account.media.id
    storage_blob_container_name = azurerm_storage_container.dead_letters.name
  }
}

resource "azurerm_storage_container" "dead_letters" {
  name               = "event-dead-letters"
  storage_account_id = azurerm_storage_account.media.id
}

# ---- catalog ----

resource "random_password" "catalog" {
  length  = 40
  special = false
}

resource "azurerm_postgresql_flexible_server" "catalog" {
  name                          = "${var.name}-catalog"
  resource_group_name           = azurerm_resource_group.headwater.name
  location                      = azurerm_resource_group.headwater.location
  version                       = "16"
  sku_name                      = var.catalog_sku
  storage_mb                    = 65536
  administrator_login           = "headwater"
  administrator_password        = random_password.catalog.result
  backup_retention_days         = 14
  geo_redundant_backup_enabled  = var.geo_redundant
  delegated_subnet_id           = var.catalog_subnet
  private_dns_zone_id           = var.catalog_dns_zone
  public_network_access_enabled = false
  zone                          = "1"

  high_availability {
    mode                      = "ZoneRedundant"
    standby_availability_zone = "2"
  }
}

resource "azurerm_postgresql_flexible_server_database" "headwater" {
  name      = "headwater"
  server_id = azurerm_postgresql_flexible_server.catalog.id
  charset   = "UTF8"
  collation = "C"
}

# ---- names and the edge ----

data "azurerm_dns_zone" "public" {
  name                = var.zone
  resource_group_name = var.zone_resource_group
}

resource "azurerm_cdn_frontdoor_profile" "headwater" {
  name                = var.name
  resource_group_name = azurerm_resource_group.headwater.name
  sku_name            = "Standard_AzureFrontDoor"
}

resource "azurerm_cdn_frontdoor_endpoint" "headwater" {
  name                     = var.name
  cdn_frontdoor_profile_id = azurerm_cdn_frontdoor_profile.headwater.id
}

resource "azurerm_cdn_frontdoor_origin_group" "hosts" {
  name                     = "hosts"
  cdn_frontdoor_profile_id = azurerm_cdn_frontdoor_profile.headwater.id

  load_balancing {
    sample_size                 = 4
    successful_samples_required = 3
  }

  health_probe {
    path                = "/api/ready"
    protocol            = "Https"
    interval_in_seconds = 30
    request_type        = "GET"
  }
}

resource "azurerm_cdn_frontdoor_origin" "ingress" {
  name                           = "ingress"
  cdn_frontdoor_origin_group_id  = azurerm_cdn_frontdoor_origin_group.hosts.id
  enabled                        = true
  host_name                      = var.origin_host
  origin_host_header             = "${var.host}.${var.zone}"
  certificate_name_check_enabled = true
}

resource "azurerm_cdn_frontdoor_custom_domain" "headwater" {
  name                     = "headwater"
  cdn_frontdoor_profile_id = azurerm_cdn_frontdoor_profile.headwater.id
  dns_zone_id              = data.azurerm_dns_zone.public.id
  host_name                = "${var.host}.${var.zone}"

  tls {
    certificate_type = "ManagedCertificate"
  }
}

# The origin says how long each answer may be kept (Cache-Control), and the API that its answers may not be.
resource "azurerm_cdn_frontdoor_route" "all" {
  name                            = "all"
  cdn_frontdoor_endpoint_id       = azurerm_cdn_frontdoor_endpoint.headwater.id
  cdn_frontdoor_origin_group_id   = azurerm_cdn_frontdoor_origin_group.hosts.id
  cdn_frontdoor_origin_ids        = [azurerm_cdn_frontdoor_origin.ingress.id]
  cdn_frontdoor_custom_domain_ids = [azurerm_cdn_frontdoor_custom_domain.headwater.id]
  supported_protocols             = ["Http", "Https"]
  patterns_to_match               = ["/*"]
  forwarding_protocol             = "HttpsOnly"
  https_redirect_enabled          = true
  link_to_default_domain          = false

  cache {
    query_string_caching_behavior = "UseQueryString"
  }
}

resource "azurerm_dns_cname_record" "headwater" {
  name                = var.host
  zone_name           = data.azurerm_dns_zone.public.name
  resource_group_name = var.zone_resource_group
  ttl                 = 300
  record              = azurerm_cdn_frontdoor_endpoint.headwater.host_name
}

resource "azurerm_dns_txt_record" "validation" {
  name                = "_dnsauth.${var.host}"
  zone_name           = data.azurerm_dns_zone.public.name
  resource_group_name = var.zone_resource_group
  ttl                 = 300

  record {
    value = azurerm_cdn_frontdoor_custom_domain.headwater.validation_token
  }
}
